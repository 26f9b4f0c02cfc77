"""`train.py` gives the same numbers and the same checkpoints wherever the network is placed."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from conftest import PROJECT, SMALL, Train
from program_server import ProgramServer

COLUMNS = (*SMALL, "model.columns=2", "trainer.max_epochs=5", "trainer.precision=64-true", "logger=csv")
PLACEMENTS = {
    "single": (),
    "ddp": ("trainer.devices=2",),
    "fsdp": ("trainer.devices=2", "strategy=fsdp"),
    "columns": ("trainer.devices=2", "strategy=model_parallel"),
    "both": ("trainer.devices=4", "strategy=model_parallel", "strategy.data_parallel_size=2"),
}
# a sixth convolution, and innovations after AlexNet; with a rule that leaves biases before a norm, whose
# gradients are 0, as they are
LATER = (
    *("optimizer=nesterov", "scheduler.warmup_epochs=1.5", "trainer.gradient_clip_val=0.5"),
    *("loss.label_smoothing=0.1", "model.batch_norm=true", "model.activation=gelu", "model.conv6=true"),
    *("callbacks.ema.decay=0.9", "data.augment.mixup.alpha=0.4", "data.augment.cutmix.alpha=1"),
    *("data.augment.random_resized_crop.enabled=true", "data.augment.trivial_augment.enabled=true"),
    "data.augment.random_erasing.p=0.5",
)
# what must be typed besides, where a run goes on that had another placement
ELSEWHERE = {"single": ("trainer.devices=1", "strategy=auto"), "ddp": ("strategy=ddp",)}
Placed = Callable[[str], Path]
SLOW = partial(pytest.param, marks=pytest.mark.slow)


def environment(root: Path) -> dict[str, str]:
    return os.environ | {"ALEXNET_CACHE": str(root / "cache")}


def finished(root: Path, *command: str) -> str:
    """What a Python program printed, that ended well, in `root`."""
    done = subprocess.run(
        [sys.executable, *command],
        cwd=root,
        env=environment(root),
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def placed(
    synthetic: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory, program_server: ProgramServer
) -> Placed:
    """The folder of a run of 20 steps with a placement; each is run once."""
    root = tmp_path_factory.mktemp("placements")

    def folder(name: str) -> Path:
        if not (root / name).exists():
            placement, _, later = name.partition("+")
            added = LATER if later else ()
            arguments = (*COLUMNS, *added, *synthetic, *PLACEMENTS[placement], f"run_folder={root / name}")
            command = (str(PROJECT / "src/train.py"), *arguments)
            ended = program_server.run(command, root, environment(root), 240)
            assert ended.status == 0, ended.err
            assert ended.out.count("Folder") == 1
            assert ended.out.count("  5/5") == 1
        return root / name

    return folder


def metrics(folder: Path) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("name", ["ddp", SLOW("fsdp"), SLOW("columns"), SLOW("both")])
@pytest.mark.parametrize("later", ["", SLOW("+later")])
def test_the_numbers_of_a_single_device(placed: Placed, name: str, later: str) -> None:
    """Dropout, augmentation and uneven batches included: losses to six digits, weights to float rounding."""
    ours, theirs = metrics(placed(name + later)), metrics(placed("single" + later))
    assert [row["step"] for row in ours] == ["4", "8", "12", "16", "20"]
    for row, expected in zip(ours, theirs, strict=True):
        for key in expected:
            if key.startswith(("train/", "val/")) or key in ("epoch", "step", "lr"):
                last_digit = pytest.approx(float(expected[key]), rel=1.01e-5)  # six are written, rounded
                assert float(row[key]) == last_digit, key
    result = json.loads((placed(name + later) / "result.json").read_text())
    expected_result = json.loads((placed("single" + later) / "result.json").read_text())
    assert result["parameters"] == expected_result["parameters"]
    assert (result["train"]["samples"], result["val"]["samples"]) == (61, 31)
    for split in ("train", "val"):
        # metrics are added up in float32
        assert result[split]["loss"] == pytest.approx(expected_result[split]["loss"], rel=1e-6)


@pytest.mark.parametrize("name", ["ddp", SLOW("fsdp"), SLOW("columns"), SLOW("both")])
@pytest.mark.parametrize("later", ["", SLOW("+later")])
def test_one_form_of_checkpoint(placed: Placed, name: str, later: str) -> None:
    ours, theirs = (
        torch.load(placed(each + later) / "checkpoints/last.ckpt", weights_only=True)
        for each in (name, "single")
    )
    assert ours["state_dict"].keys() == theirs["state_dict"].keys()
    for key, expected in theirs["state_dict"].items():
        assert type(ours["state_dict"][key]) is torch.Tensor
        torch.testing.assert_close(ours["state_dict"][key], expected, rtol=1e-9, atol=1e-12)
    assert ("state_dict_ema" in theirs) == bool(later)
    for key, expected in theirs.get("state_dict_ema", {}).items():
        torch.testing.assert_close(ours["state_dict_ema"][key], expected, rtol=1e-9, atol=1e-12)
    (state,), (expected_state,) = ours["optimizer_states"], theirs["optimizer_states"]
    assert state["state"].keys() == expected_state["state"].keys()
    for number, entry in expected_state["state"].items():
        torch.testing.assert_close(
            state["state"][number]["momentum_buffer"], entry["momentum_buffer"], rtol=1e-8, atol=1e-12
        )
    assert [group["params"] for group in state["param_groups"]] == [
        group["params"] for group in expected_state["param_groups"]
    ]
    best = torch.load(placed(name + later) / "checkpoints/best.ckpt", weights_only=True)
    assert best["state_dict"].keys() == theirs["state_dict"].keys()


def test_refuses_in_one_line(train: Train, synthetic: tuple[str, ...]) -> None:
    done = train(*SMALL, *synthetic, "strategy=model_parallel", "trainer.devices=2")
    assert done.status == 1
    assert "the network has only one. Add model.columns=2 " in done.err
    assert done.err.count("\n") == 1
    assert not done.outputs.exists()


def start(root: Path, synthetic: tuple[str, ...], *overrides: str) -> subprocess.Popen[str]:
    """A long run, past its first epoch, in <root>/run."""
    process = subprocess.Popen(
        [
            *(sys.executable, str(PROJECT / "src/train.py"), *COLUMNS, *synthetic),
            *("trainer.max_epochs=1000", f"run_folder={root / 'run'}", *overrides),
        ],
        cwd=root,
        env=environment(root),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    deadline = time.monotonic() + 120
    while not (root / "run/checkpoints/last.ckpt").exists():
        assert process.poll() is None, process.stderr and process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.2)
    return process


def children(process: int) -> list[int]:
    tasks = Path(f"/proc/{process}/task/{process}/children")
    return [int(child) for child in tasks.read_text().split()]


def ended(processes: list[int], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while any(_runs(process) for process in processes):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True


def _runs(process: int) -> bool:
    try:
        return not re.search(r"^State:\s+Z", Path(f"/proc/{process}/status").read_text(), re.MULTILINE)
    except OSError:
        return False


@pytest.mark.skipif(
    not Path("/proc/self/task").is_dir(), reason="finds a process's children as Linux has them"
)
@pytest.mark.parametrize(("name", "rank"), [SLOW("columns", 1), SLOW("columns", 0), SLOW("both", 2)])
def test_a_rank_that_is_killed_ends_the_run(
    tmp_path: Path, synthetic: tuple[str, ...], name: str, rank: int
) -> None:
    process = start(tmp_path, synthetic, *PLACEMENTS[name])
    ranks = [process.pid, *children(process.pid)]
    os.kill(ranks[rank], signal.SIGKILL)
    assert ended(ranks, 60)
    _, told = process.communicate(timeout=10)
    assert process.returncode != 0
    assert told.count("Error: ") == 1
    assert f"Error: Rank {rank} of {len(ranks)} " in told
    torch.load(tmp_path / "run/checkpoints/last.ckpt", weights_only=True)
    if rank:
        result: dict[str, Any] = json.loads((tmp_path / "run/result.json").read_text())
        assert result["status"] == "failed"
        assert result["error"].startswith(f"Rank {rank} of {len(ranks)} was killed by SIGKILL")
        assert result["epochs"] >= 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("before", "after"),
    [("single", "columns"), ("columns", "single"), ("both", "ddp"), ("ddp", "both"), ("fsdp", "columns")],
)
def test_a_checkpoint_goes_on_under_another_placement(
    synthetic: tuple[str, ...], tmp_path: Path, before: str, after: str
) -> None:
    """Two epochs here and two there end as four on a single device do; weights and velocities both."""
    train_py, command = str(PROJECT / "src/train.py"), (*COLUMNS, *synthetic, "scheduler=constant")
    through, folder = tmp_path / "through", tmp_path / "gone on"
    finished(tmp_path, train_py, *command, "trainer.max_epochs=4", f"run_folder={through}")
    finished(
        tmp_path, train_py, *command, "trainer.max_epochs=2", f"run_folder={folder}", *PLACEMENTS[before]
    )
    elsewhere = (*PLACEMENTS[after], *ELSEWHERE.get(after, ()))
    finished(tmp_path, train_py, f"resume={folder}", "trainer.max_epochs=4", *elsewhere)
    ours, theirs = (
        torch.load(path / "checkpoints/last.ckpt", weights_only=True) for path in (folder, through)
    )
    assert ours["global_step"] == theirs["global_step"] == 16
    for key, expected in theirs["state_dict"].items():
        torch.testing.assert_close(ours["state_dict"][key], expected, rtol=1e-9, atol=1e-12)
    for number, entry in theirs["optimizer_states"][0]["state"].items():
        velocity = ours["optimizer_states"][0]["state"][number]["momentum_buffer"]
        torch.testing.assert_close(velocity, entry["momentum_buffer"], rtol=1e-8, atol=1e-12)
    assert [row["val/loss"] for row in metrics(folder)] == [row["val/loss"] for row in metrics(through)]


@pytest.mark.slow
@pytest.mark.parametrize("variables", [{}, {"SLURM_NTASKS": "2", "SLURM_JOB_NAME": "job.sh"}])
def test_started_by_torchrun(
    placed: Placed,
    synthetic: tuple[str, ...],
    tmp_path: Path,
    variables: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also by one that the script of a Slurm job has started."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    torchrun = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")
    arguments = (*COLUMNS, *synthetic, *PLACEMENTS["columns"], f"run_folder={tmp_path / 'run'}")
    assert finished(tmp_path, *torchrun, str(PROJECT / "src/train.py"), *arguments).count("Folder") == 1
    ours, theirs = metrics(tmp_path / "run")[-1], metrics(placed("columns"))[-1]
    assert (ours["val/loss"], ours["train/loss"]) == (theirs["val/loss"], theirs["train/loss"])


@pytest.mark.slow
def test_in_a_sweep_with_wandb(train: Train, synthetic: tuple[str, ...]) -> None:
    """Two jobs of two processes each: one W&B run, one result and one line a job."""
    done = train(
        *("-m", "seed=0,1", "model.columns=2", "strategy=model_parallel", "trainer.devices=2"),
        *(*SMALL, *synthetic, "trainer.max_epochs=1", "hydra.launcher.jobs=2"),
        environment={"OMP_NUM_THREADS": "1"},
    )
    assert done.status == 0, done.err
    results = list(done.outputs.glob("sweeps/*/*/result.json"))
    assert len(results) == 2
    for result in results:
        assert json.loads(result.read_text())["status"] == "completed"
        assert len(list(result.parent.glob("wandb/offline-run-*"))) == 1
        assert (
            yaml.safe_load((result.parent / "config.yaml").read_text())["strategy"]["name"]
            == "model_parallel"
        )
        text = result.parent.with_name(f"{result.parent.name}.log").read_text()
        assert text.count("Done in") == 1
