"""benchmarks/placement.py measures every placement that there are devices for."""

import re
import subprocess
import sys

import pytest
import torch

from alexnet.models.alexnet import AlexNet
from alexnet.terminal import format_bytes
from conftest import PROJECT, model_config


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason="there may be fewer GPUs than the placements need")
def test_every_placement() -> None:
    with torch.device("meta"):
        network = AlexNet(model_config("model.columns=2", "model.width=0.0625"), 1000)
    parameters = sum(parameter.numel() for parameter in network.parameters())
    options = ("--width=0.0625", "--batch=4", "--steps=1", "--rounds=2")
    command = [sys.executable, str(PROJECT / "benchmarks/placement.py"), *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=400, check=False)
    assert done.returncode == 0, done.stderr
    table = [re.split(r"\s{2,}", line) for line in done.stdout.splitlines()[2:]]
    rows = {name: cells for name, *cells in table}
    assert {name: cells[0] for name, cells in rows.items()} == {
        "single": "1",
        "ddp": "2",
        "fsdp": "2",
        "model_parallel": "2",
        "model_parallel 2x2": "4",
    }
    assert rows["single"][5:8] == ["1.00"] * 3
    sent = {name: cells[-1] for name, cells in rows.items()}
    assert sent["single"] == "0 bytes"
    assert sent["ddp"] == format_bytes(4 * parameters)
    assert sent["fsdp"] == format_bytes(6 * parameters)
    gathered = 8 * 13 * 13 + 8 * 6 * 6 + 128
    assert sent["model_parallel"] == format_bytes(4 * 4 * (2 * gathered + 1000))
    held = {name: cells[8] for name, cells in rows.items()}
    assert held["single"] == held["ddp"] == format_bytes(12 * parameters)
    assert held["fsdp"] == format_bytes(6 * parameters)
    assert held["model_parallel"] == format_bytes(6 * (parameters + 1000))


@pytest.mark.slow
def test_a_batch_that_does_not_divide() -> None:
    command = [sys.executable, str(PROJECT / "benchmarks/placement.py"), "--batch=5"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 2
    assert "--batch 5: does not divide over 2 copies" in done.stderr
