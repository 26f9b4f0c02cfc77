"""The benchmarks of training and evaluation have a line for each of their ways."""

import re
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from alexnet.models.build import build_network
from conftest import PROJECT, model_config, save_image


@pytest.mark.parametrize("name", sorted(path.name for path in (PROJECT / "benchmarks").glob("*.py")))
def test_what_a_benchmark_imports_is_there(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(PROJECT / "benchmarks"))
    runpy.run_path(str(PROJECT / "benchmarks" / name), run_name="imported")


@pytest.mark.slow  # a benchmark, which no run depends on
def test_each_way_has_its_line(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for split, count in (("train", 10), ("val", 1)):
        for name in ("cat", "dog"):
            for index in range(count):
                save_image(tmp_path / "images" / split / name / f"{index}.jpg", rng)
    program = [sys.executable, str(PROJECT / "benchmarks/end_to_end.py"), str(tmp_path / "images")]
    options = ["--rounds=2", "--steps=2", f"--scratch={tmp_path}"]
    small = ["model.width=0.0625", "data.batch_size=4", "trainer.accelerator=cpu", "data.workers=0"]
    done = subprocess.run(
        [*program, *options, *small], capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "20 images, batches of 4, 2 steps a round, cpu, " in done.stdout
    table = done.stdout.splitlines()[-4:]
    spread = r"[\d,.]+ \([\d,.]+-[\d,.]+\)"
    for name, line in zip(("pack", "memory", "reference"), table[1:], strict=True):
        assert re.match(rf"{name} +{spread} +{spread} +[\d,.]+$", line), line
    assert "1.000 (1.000-1.000)" in table[1]


@pytest.mark.slow
def test_cifar_has_a_line_for_each_way(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for split, count in (("train", 8), ("test", 1)):
        for number in range(10):
            for index in range(count):
                save_image(tmp_path / "images" / split / f"{number}" / f"{index}.png", rng, (32, 32))
    program = [sys.executable, str(PROJECT / "benchmarks/cifar.py"), str(tmp_path / "images")]
    options = ["--rounds=2", "--steps=2", "data.batch_size=8", f"data.cache={tmp_path}/cache"]
    done = subprocess.run([*program, *options], capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    spread = r"[\d,.]+ \([\d,.]+-[\d,.]+\)"
    for name, line in zip(("ours", "reference"), done.stdout.splitlines()[-2:], strict=True):
        assert re.match(rf"{name} +{spread} +{spread}$", line), line


@pytest.mark.slow
def test_evaluation_has_a_line_for_each_way() -> None:
    program = [sys.executable, str(PROJECT / "benchmarks/evaluation.py"), "--rounds=2", "--batches=1"]
    small = ["model.width=0.0625", "trainer.accelerator=cpu"]
    done = subprocess.run([*program, *small], capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    spread = r"[\d,.]+ \([\d,.]+-[\d,.]+\)"
    for name, line in zip(("bf16-mixed", "32-true", "plain"), done.stdout.splitlines()[-3:], strict=True):
        assert re.match(rf"{name} +{spread} +{spread}$", line), line


@pytest.mark.slow
def test_cifar_s_plain_network_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(PROJECT / "benchmarks"))
    import cifar  # type: ignore[import-not-found]

    ours, plain = build_network(model_config("model=convnet_13pct"), 10), cifar.plain_network()
    with torch.no_grad():
        for mine, theirs in zip(ours.parameters(), plain.parameters(), strict=True):
            if mine.dim() == 6:  # (filters, side, side, channels, 3, 3) as (filters, channels * 9, positions)
                mine = mine.flatten(3).flatten(1, 2).transpose(1, 2)
            theirs.copy_(mine)
        images = torch.randn(2, 3, 24, 24) * 60
        torch.testing.assert_close(ours(images), plain(images))
