"""benchmarks/step.py measures what it says."""

import importlib.util
import re
import subprocess
import sys
from argparse import Namespace
from types import ModuleType

import pytest

from conftest import PROJECT


@pytest.fixture
def step() -> ModuleType:
    spec = importlib.util.spec_from_file_location("step", PROJECT / "benchmarks/step.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["step"] = module  # dataclasses look there
    spec.loader.exec_module(module)
    return module


def test_a_small_run() -> None:
    names = ["this program", "stock modules, float32", "stock modules, bfloat16"]
    options = ["--width=0.0625", "--batch=4", "--steps=1", "--rounds=2", "--matrix=256", "--columns=2"]
    command = [sys.executable, str(PROJECT / "benchmarks/step.py"), *options, "--only", *names]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    first, header, *lines = done.stdout.splitlines()
    assert "2 column(s), width 0.0625, batch 4" in first
    assert "images/s" in header
    rows = {name: cells for name, *cells in (re.split(r"\s{2,}", line) for line in lines[: len(names)])}
    assert list(rows) == names
    for cells in rows.values():
        median, least, most = (float(cell.replace(",", "")) for cell in cells[:3])
        assert 0 < least <= median <= most
    assert rows["stock modules, float32"][3] == "1.00"
    parts = {
        name: float(share.rstrip("%")) for name, share in (re.split(r"\s{2,}", line) for line in lines[-9:])
    }
    assert {"convolutions, forward", "convolutions, backward", "LRN", "pooling"} < set(parts)
    assert sum(parts.values()) == pytest.approx(100, abs=1)


@pytest.mark.parametrize(("columns", "millions"), [(1, 1135.3), (2, 724.4)])
def test_operations_of_a_step(columns: int, millions: float, step: ModuleType) -> None:
    """Multiply-adds of an image's forward pass, counted by hand from the paper's §3.5."""
    arguments = Namespace(columns=columns, width=1, batch=2)
    conv1 = 55 * 55 * 96 * 11 * 11 * 3
    for program in step.PROGRAMS:
        if program.network != "torchvision":
            assert step._flops(program, arguments) / 2 / 2 == pytest.approx(3e6 * millions - conv1, rel=1e-4)
