"""A loss that is no longer finite, or diverges."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from alexnet.runs.checkpoint_io import read_checkpoint
from alexnet.training.module import ClassificationModule
from conftest import SMALL
from entry_point import ProgramOutput, run_train

SKIP = "callbacks.nan_monitor.nonfinite=skip"
POISONED = 5  # the second step of the second epoch of four steps


@pytest.fixture
def start(synthetic: tuple[str, ...], tmp_path: Path) -> Callable[..., ProgramOutput]:
    """Runs train.py with further arguments, the run folder <name> and without reading ahead."""

    def run(name: str, *overrides: str) -> ProgramOutput:
        command = (*SMALL, *synthetic, "logger=csv", f"run_folder={tmp_path / name}")
        return run_train(*command, *overrides)

    return run


def poison(monkeypatch: pytest.MonkeyPatch, *steps: int, by: float = float("nan")) -> None:
    """Spoil the loss of some steps."""
    before = ClassificationModule.training_step

    def training_step(module: ClassificationModule, batch: tuple[Tensor, ...], batch_idx: int) -> Tensor:
        loss = before(module, batch, batch_idx)
        return loss * by if module.global_step in steps else loss

    monkeypatch.setattr(ClassificationModule, "training_step", training_step)


def state(folder: Path) -> list[Tensor]:
    """Weights and velocities of last.ckpt."""
    last = read_checkpoint(folder / "checkpoints/last.ckpt")
    velocities = [entry["momentum_buffer"] for entry in last["optimizer_states"][0]["state"].values()]
    return [*last["state_dict"].values(), *velocities]


@pytest.mark.parametrize("by", [float("nan"), 1e6], ids=["nan", "diverged"])
def test_stops_before_it_is_saved(
    start: Callable[..., ProgramOutput], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by: float
) -> None:
    poison(monkeypatch, POISONED, by=by)
    done = start("run", "callbacks.checkpoint.every_n_steps=1")
    assert done.status == 1
    (line,) = done.err.splitlines()
    assert line.startswith(
        "Error: The training loss is no longer finite, or over 1000 times the loss at chance, "
    )
    assert "at step 6 (epoch 2). Try a smaller optimizer.lr (now 0.003)" in line
    assert "callbacks.nan_monitor.nonfinite=skip" in line
    result = json.loads((tmp_path / "run/result.json").read_text())
    assert (result["status"], f"Error: {result['error']}") == ("failed", line)
    assert result["diverged"] is True
    assert read_checkpoint(tmp_path / "run/checkpoints/last.ckpt")["global_step"] == POISONED
    assert all(tensor.isfinite().all() for tensor in state(tmp_path / "run"))


def test_gradients_that_are_not_finite(
    start: Callable[..., ProgramOutput], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under a loss that is finite: the weights are checked before they are saved."""
    before = ClassificationModule.training_step

    def training_step(module: ClassificationModule, batch: tuple[Tensor, ...], batch_idx: int) -> Tensor:
        loss = before(module, batch, batch_idx)
        if module.global_step == POISONED:
            loss.register_hook(lambda gradient: gradient * float("inf"))
        return loss

    monkeypatch.setattr(ClassificationModule, "training_step", training_step)
    done = start("run", "callbacks.checkpoint.every_n_steps=1")
    assert done.status == 1
    assert "at step 6 (epoch 2)" in done.err
    assert read_checkpoint(tmp_path / "run/checkpoints/last.ckpt")["global_step"] == POISONED
    assert all(tensor.isfinite().all() for tensor in state(tmp_path / "run"))


def test_a_rate_that_is_too_large(start: Callable[..., ProgramOutput], tmp_path: Path) -> None:
    done = start("run", "optimizer.lr=1e30")
    assert done.status == 1
    assert "Try a smaller optimizer.lr (now 1e+30)" in done.err
    assert not list(tmp_path.glob("run/checkpoints/*"))


def test_skips_the_step_if_configured(
    start: Callable[..., ProgramOutput], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One step is skipped and counted: the weights are those of a run that did not take it."""
    with monkeypatch.context() as patches:
        poison(patches, POISONED)
        assert start("run", SKIP).status == 0
    result = json.loads((tmp_path / "run/result.json").read_text())
    assert (result["status"], result["skipped_steps"]) == ("completed", 1)
    assert result["diverged"] is False

    before = ClassificationModule.optimizer_step

    def optimizer_step(
        module: ClassificationModule, epoch: int, batch_idx: int, optimizer: Any, closure: Any
    ) -> None:
        if module.global_step == POISONED:
            updated = [tensor.clone() for tensor in module.state_dict().values()]
            velocities = {key: dict(entry) for key, entry in optimizer.state.items()}
            kept = {key: entry["momentum_buffer"].clone() for key, entry in velocities.items()}
            before(module, epoch, batch_idx, optimizer, closure)
            for tensor, value in zip(module.state_dict().values(), updated, strict=True):
                tensor.copy_(value)
            for key, velocity in kept.items():
                optimizer.state[key]["momentum_buffer"].copy_(velocity)
        else:
            before(module, epoch, batch_idx, optimizer, closure)

    monkeypatch.setattr(ClassificationModule, "optimizer_step", optimizer_step)
    assert start("without it").status == 0
    for actual, expected in zip(state(tmp_path / "run"), state(tmp_path / "without it"), strict=True):
        assert torch.equal(actual, expected)
        assert actual.isfinite().all()


def test_too_many_skipped_steps(
    start: Callable[..., ProgramOutput], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Skipping has a limit: beyond it the weights themselves are lost, or the data."""
    monkeypatch.setattr("alexnet.callbacks.nan_monitor.MOST_SKIPPED", 3)
    poison(monkeypatch, *range(2, 8))
    done = start("run", SKIP)
    assert done.status == 1
    assert "at step 5 (epoch 2)" in done.err
    assert json.loads((tmp_path / "run/result.json").read_text())["skipped_steps"] == 4
    assert all(tensor.isfinite().all() for tensor in state(tmp_path / "run"))
