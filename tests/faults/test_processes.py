"""Faults of whole processes: memory runs out, the loss of one rank diverges."""

import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from meddled import little_memory, meddle

from alexnet.runs.checkpoint_io import read_checkpoint
from conftest import PROJECT, SMALL
from kill_at_random import start_warm

Ended = tuple[subprocess.CompletedProcess[str], dict[str, Any]]


def meddled(folder: Path, fault: str, step: int, *arguments: str) -> Ended:
    """A run with a fault, which has ended, and its result."""
    done = subprocess.run(
        [
            *(sys.executable, str(PROJECT / "tests/faults/meddled.py"), *SMALL, *arguments),
            *("logger=csv", f"run_folder={folder}", f"data.cache={folder.parent / 'cache'}"),
        ],
        env=os.environ | {"FAULT": fault, "STEP": str(step)},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert (folder / "result.json").exists(), done.stderr
    return done, json.loads((folder / "result.json").read_text())


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="limits memory as Linux does")
def test_memory_runs_out(synthetic: tuple[str, ...], tmp_path: Path) -> None:
    """In the second epoch, where a layer's output of 35 MB does not fit."""
    large = ("model.width=0.5", "data.batch_size=61", "data.workers=0", "logger=csv", "performance=plain")
    command = [*SMALL, *synthetic, *large, f"run_folder={tmp_path / 'run'}"]
    process = start_warm(command, tmp_path / "log", partial(meddle, little_memory, 1))
    process.join(120)
    output = (tmp_path / "log").read_text()
    assert process.exitcode == 1, output
    (line,) = (line for line in output.splitlines() if "Error" in line)
    assert line.startswith("Error: Out of memory. Try a smaller data.batch_size or model.width,")
    assert line.endswith(f"To resume: python src/train.py resume={tmp_path / 'run'}")
    result = json.loads((tmp_path / "run/result.json").read_text())
    assert (result["status"], result["epochs"], result["diverged"]) == ("failed", 1, False)
    assert result["error"].startswith("Out of memory.")
    assert read_checkpoint(tmp_path / "run/checkpoints/last.ckpt")["global_step"] == 1


@pytest.mark.slow
def test_a_loss_that_diverges_on_one_rank(synthetic: tuple[str, ...], tmp_path: Path) -> None:
    """All ranks end before it is saved, and one of them prints why."""
    every = ("trainer.devices=2", "callbacks.checkpoint.every_n_steps=1")
    done, result = meddled(tmp_path / "run", "lost_loss", 5, *synthetic, *every)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("Error: The training loss is no longer finite")
    assert (result["status"], f"Error: {result['error']}") == ("failed", line)
    assert result["diverged"] is True
    last = read_checkpoint(tmp_path / "run/checkpoints/last.ckpt")
    assert last["global_step"] in (4, 5)  # the ranks agree on saving one step later
    assert all(value.isfinite().all() for value in last["state_dict"].values())


@pytest.mark.slow
def test_a_step_that_is_skipped_on_all_ranks(synthetic: tuple[str, ...], tmp_path: Path) -> None:
    every = ("trainer.devices=2", "callbacks.nan_monitor.nonfinite=skip")
    done, result = meddled(tmp_path / "run", "lost_loss", 5, *synthetic, *every)
    assert (done.returncode, done.stderr) == (0, "")
    assert (result["status"], result["skipped_steps"]) == ("completed", 1)
    last = read_checkpoint(tmp_path / "run/checkpoints/last.ckpt")
    assert all(value.isfinite().all() for value in last["state_dict"].values())
