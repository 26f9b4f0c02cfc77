"""`python src/train.py`, stopped from outside and resumed with resume=."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import PROJECT, SMALL
from survival import differences, outcome

STOPPING = str(PROJECT / "tests/stopping_train.py")
TRAIN = str(PROJECT / "src/train.py")


@pytest.fixture
def command(synthetic: tuple[str, ...]) -> tuple[str, ...]:
    return (*SMALL, *synthetic, "logger=csv")


def run(root: Path, *command: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """A Python program as a user starts it, whatever signals pytest ignores."""
    return subprocess.run(
        [sys.executable, *command],
        cwd=root,
        env=os.environ | {"ALEXNET_CACHE": str(root / "cache")} | environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def result(folder: Path) -> dict[str, object]:
    return json.loads((folder / "result.json").read_text())


@pytest.mark.parametrize(
    ("devices", "rank", "step"),
    [
        pytest.param(("trainer.devices=2",), 1, 3, id="ddp"),
        pytest.param(("trainer.devices=2",), 0, 4, id="ddp, last step"),
        pytest.param(
            ("trainer.devices=2", "model.columns=2", "strategy=model_parallel"),
            *(1, 6),
            id="columns",
        ),
        pytest.param(("trainer.devices=2", "strategy=fsdp"), 1, 6, id="fsdp"),
    ],
)
@pytest.mark.slow  # half a minute each: runs of two processes, beside undisturbed ones
def test_one_rank_is_asked_to_stop(
    command: tuple[str, ...], tmp_path: Path, devices: tuple[str, ...], rank: int, step: int
) -> None:
    """All of them stop after the same step; resumed, the run is bit-identical to an undisturbed one."""
    whole, folder = tmp_path / "whole", tmp_path / "stopped"
    done = run(tmp_path, TRAIN, *command, *devices, f"run_folder={whole}")
    assert done.returncode == 0, done.stderr
    done = run(tmp_path, STOPPING, *command, *devices, f"run_folder={folder}", STOP=f"{rank},{step},SIGTERM")
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("Interrupted: stopped ") and line.endswith(f"resume={folder}")
    assert result(folder)["status"] == "interrupted"
    done = run(tmp_path, TRAIN, f"resume={folder}")
    assert done.returncode == 0, done.stderr
    assert differences(outcome(folder), outcome(whole)) == []


@pytest.mark.slow  # as above
def test_slurm_warns_and_starts_again(command: tuple[str, ...], tmp_path: Path) -> None:
    """SIGUSR1: saved, and scontrol requeues the job; the same command then resumes the run."""
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "scontrol").write_text(f'#!/bin/sh\necho "$@" >> "{tmp_path}/asked"\n')
    (programs / "scontrol").chmod(0o755)
    slurm = {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}", "SLURM_JOB_ID": "41", "SLURM_NTASKS": "1"}
    slurm |= {"SLURM_JOB_NAME": "x.sh", "SLURM_PROCID": "0", "SLURM_LOCALID": "0", "SLURM_NODEID": "0"}
    slurm |= {"SLURM_NTASKS_PER_NODE": "1", "SLURM_NNODES": "1"}
    command = (*command, f"outputs={tmp_path / 'outputs'}")
    done = run(tmp_path, STOPPING, *command, **slurm, STOP="0,6,SIGUSR1")
    assert done.returncode == 1
    assert "stopped by SIGUSR1" in done.stderr
    assert "Slurm has requeued job 41" in done.stdout
    assert (tmp_path / "asked").read_text() == "requeue 41\n"
    done = run(tmp_path, TRAIN, *command, **slurm, SLURM_RESTART_COUNT="1")
    assert done.returncode == 0, done.stderr
    (folder,) = (tmp_path / "outputs/runs").iterdir()
    assert "Resuming" in done.stdout
    assert (result(folder)["status"], result(folder)["epochs"]) == ("completed", 2)
