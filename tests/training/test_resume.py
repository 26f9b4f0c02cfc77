"""A run that is stopped anywhere and resumed is bit-identical to one that was not."""

import csv
import json
import os
import random
import signal
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from alexnet.callbacks.checkpoint import TrainingCheckpoint
from alexnet.config import PackFormat, PrepareConfig
from alexnet.data.datamodule import ImageDataModule
from alexnet.data.loader import BatchLoader
from alexnet.data.pack_writer import make_pack
from alexnet.errors import UserError
from alexnet.runs.folder import RunFolder
from alexnet.training.fit import train
from alexnet.training.module import ClassificationModule
from conftest import SMALL, request_of
from survival import differences, outcome

BATCHES, VAL_BATCHES, EPOCHS = 4, 2, 2


def draw() -> list[float]:
    """From each library's generator, as a change of the code might."""
    return [random.random(), float(np.random.random()), float(torch.rand(()))]


class Stops:
    """Sends this process a signal in the n-th training or validation step, and logs what generators draw."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.training, self.validation = (
            ClassificationModule.training_step,
            ClassificationModule.validation_step,
        )
        self.countdown = -1
        self.signal = signal.SIGTERM
        self.drawn: list[list[float]] = []
        stops = self

        def training_step(module: ClassificationModule, batch: Any, batch_idx: int) -> Tensor:
            stops.drawn.append(draw())
            stops.count()
            return stops.training(module, batch, batch_idx)

        def validation_step(module: ClassificationModule, batch: Any, batch_idx: int) -> None:
            stops.count()
            return stops.validation(module, batch, batch_idx)

        monkeypatch.setattr(ClassificationModule, "training_step", training_step)
        monkeypatch.setattr(ClassificationModule, "validation_step", validation_step)

    def count(self) -> None:
        self.countdown -= 1
        if self.countdown == 0:
            os.kill(os.getpid(), self.signal)


@pytest.fixture
def stops(monkeypatch: pytest.MonkeyPatch) -> Stops:
    return Stops(monkeypatch)


@pytest.fixture
def command(synthetic: tuple[str, ...]) -> tuple[str, ...]:
    return (*SMALL, *synthetic, f"trainer.max_epochs={EPOCHS}", "logger=csv")


PLATEAU = ("scheduler=plateau", "scheduler.patience=0", "callbacks.early_stopping.patience=9")
LATER = (
    *("optimizer=adamw", "optimizer.lr=1e-4", "scheduler.warmup_epochs=1.5", "trainer.gradient_clip_val=1"),
    *("loss.label_smoothing=0.1", "model.batch_norm=true", "model.activation=gelu"),
    *("callbacks.ema.decay=0.9", "data.augment.mixup.alpha=0.4", "data.augment.cutmix.alpha=1"),
    *("data.augment.random_resized_crop.enabled=true", "data.augment.trivial_augment.enabled=true"),
    "data.augment.random_erasing.p=0.5",
)
STEP = ("scheduler=step", "model.columns=2", "optimizer.freeze=[conv1]", "model.activation=tanh")


@pytest.mark.parametrize(
    ("overrides", "steps"),
    [
        pytest.param(
            ("data.workers=0", *PLATEAU),
            range(1, EPOCHS * (BATCHES + VAL_BATCHES)),
            marks=pytest.mark.slow,
            id="every step",
        ),
        pytest.param(("data.workers=0", *PLATEAU), (1, BATCHES, 6, 11), id="plateau", marks=pytest.mark.slow),
        pytest.param(("data.workers=2", *STEP), (2, BATCHES + 1, 9), marks=pytest.mark.slow, id="step"),
        pytest.param(("data.workers=0", *LATER), (6,), id="later"),
        pytest.param(("data.workers=0", *LATER), (2, 9), id="later, begin and end", marks=pytest.mark.slow),
    ],
)
def test_stopped_at_a_step(
    stops: Stops, command: tuple[str, ...], tmp_path: Path, overrides: tuple[str, ...], steps: Sequence[int]
) -> None:
    """In training, in validation, in the first step and the last: the same run in the end."""
    command = (*command, *overrides)
    train(request_of(tmp_path / "whole", *command))
    whole, drawn = outcome(tmp_path / "whole"), list(stops.drawn)
    assert len(drawn) == EPOCHS * BATCHES
    for step in steps:
        folder = tmp_path / f"stopped{step}"
        stops.countdown, stops.drawn = step, []
        with pytest.raises(KeyboardInterrupt, match=f"stopped by SIGTERM.*resume={folder}"):
            train(request_of(folder, *command))
        result = json.loads((folder / "result.json").read_text())
        assert (result["status"], result["error"]) == ("interrupted", "stopped by SIGTERM")
        train(request_of(folder, *command, previous=folder))
        assert stops.drawn == drawn, f"stopped in step {step}"
        assert differences(outcome(folder), whole) == [], f"stopped in step {step}"


def test_early_stopping_goes_on_counting(stops: Stops, command: tuple[str, ...], tmp_path: Path) -> None:
    """At so low a rate no weight changes: the first epoch stays the best, and the third after it the last."""
    stopping = ("optimizer.lr=1e-20", "callbacks.early_stopping.patience=3", "trainer.max_epochs=9")
    folder, stops.countdown = tmp_path / "stopped", 2 * (BATCHES + VAL_BATCHES) + 2
    with pytest.raises(KeyboardInterrupt):
        train(request_of(folder, *command, *stopping))
    train(request_of(folder, *command, *stopping, previous=folder))
    assert json.loads((folder / "result.json").read_text())["epochs"] == 4


@pytest.mark.slow
def test_from_a_pack(stops: Stops, command: tuple[str, ...], tmp_path: Path) -> None:
    """A run that began with files is resumed with a pack of them."""
    packed = f"data.pack={tmp_path / 'pack'}"
    make_pack(PrepareConfig(request_of(tmp_path, *command, packed).config.data, PackFormat.raw, 90))
    train(request_of(tmp_path / "whole", *command))
    stops.countdown = 3
    with pytest.raises(KeyboardInterrupt):
        train(request_of(tmp_path / "stopped", *command))
    train(request_of(tmp_path / "stopped", *command, packed, previous=tmp_path / "stopped"))
    actual, expected = outcome(tmp_path / "stopped"), outcome(tmp_path / "whole")
    assert actual["result"].pop("config_hash") != expected["result"].pop(
        "config_hash"
    )  # a pack could be of others
    assert differences(actual, expected) == []


@pytest.mark.slow
def test_stopped_again_and_again(stops: Stops, command: tuple[str, ...], tmp_path: Path) -> None:
    """By another signal each time, the last in the very first step of a start; and by a time that is over."""
    train(request_of(tmp_path / "whole", *command))
    folder, previous = tmp_path / "stopped", None
    for number, step in ((signal.SIGINT, 3), (signal.SIGUSR1, 4), (signal.SIGTERM, 1)):
        stops.signal, stops.countdown = number, step
        with pytest.raises(KeyboardInterrupt, match=f"stopped by {number.name}"):
            train(request_of(folder, *command, previous=previous))
        previous = folder
    steps = []
    for _ in range(2):  # each start makes a step, however short its time is
        with pytest.raises(KeyboardInterrupt, match=r"trainer\.max_time has elapsed"):
            train(request_of(folder, *command, "trainer.max_time=00:00:00:00", previous=folder))
        steps.append(torch.load(folder / "checkpoints/last.ckpt", weights_only=True)["global_step"])
    assert steps[1] == steps[0] + 1
    train(request_of(folder, *command, previous=folder))
    assert differences(outcome(folder), outcome(tmp_path / "whole")) == []


def crash(number: int, name: int) -> None:
    raise RuntimeError("a bug")


@pytest.mark.parametrize(
    ("kept", "saved"),
    [
        ("every_n_steps=5", 5),
        pytest.param("every_n_seconds=0.0001", 5, marks=pytest.mark.slow),
        ("every_n_steps=null", 4),
    ],
)
def test_after_a_crash(
    stops: Stops,
    command: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kept: str,
    saved: int,
) -> None:
    """In the sixth step, which is in the second epoch: lost is what came after the last checkpoint."""
    command = (*command, f"callbacks.checkpoint.{kept}")
    train(request_of(tmp_path / "whole", *command))

    folder = tmp_path / "crashed"
    stops.countdown, stops.drawn = BATCHES + VAL_BATCHES + 2, []
    with monkeypatch.context() as patched:
        patched.setattr(os, "kill", crash)
        with pytest.raises(RuntimeError, match="a bug"):
            train(request_of(folder, *command))
    assert json.loads((folder / "result.json").read_text())["error"] == "RuntimeError: a bug"
    assert torch.load(folder / "checkpoints/last.ckpt", weights_only=True)["global_step"] == saved
    train(request_of(folder, *command, previous=folder))
    assert differences(outcome(folder), outcome(tmp_path / "whole")) == []


def test_the_time_until_the_first_step_counts(
    stops: Stops, command: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that is killed again and again soon after its start makes some steps each time."""
    now = [0.0]
    monkeypatch.setattr("alexnet.callbacks.checkpoint.time", SimpleNamespace(monotonic=lambda: now[0]))
    begin = TrainingCheckpoint.on_train_start

    def begin_late(*arguments: Any) -> None:
        now[0] = 10.0
        begin(*arguments)

    monkeypatch.setattr(TrainingCheckpoint, "on_train_start", begin_late)
    monkeypatch.setattr(os, "kill", crash)
    stops.countdown, stops.drawn = 3, []
    folder = tmp_path / "run"
    with pytest.raises(RuntimeError, match="a bug"):
        request = request_of(folder, *command, "callbacks.checkpoint.every_n_seconds=5")
        train(replace(request, made=0.0))  # loading the data counts, too
    assert torch.load(folder / "checkpoints/last.ckpt", weights_only=True)["global_step"] == 1


@pytest.mark.slow
def test_trained_longer(stops: Stops, command: tuple[str, ...], tmp_path: Path) -> None:
    """With a constant rate it is the longer run; and one that stopped early has its patience kept."""
    command = (*command, "scheduler=constant")
    train(request_of(tmp_path / "whole", *command, "trainer.max_epochs=3"))
    train(request_of(tmp_path / "longer", *command))
    train(request_of(tmp_path / "longer", *command, "trainer.max_epochs=3", previous=tmp_path / "longer"))
    actual, expected = outcome(tmp_path / "longer"), outcome(tmp_path / "whole")
    assert differences(actual, expected) == []


@pytest.mark.parametrize(
    "schedule",
    [
        "scheduler=cosine",
        pytest.param("scheduler=step", marks=pytest.mark.slow),
        "scheduler.warmup_epochs=2.5",
    ],
)
def test_the_schedule_follows_the_new_length(
    stops: Stops, command: tuple[str, ...], tmp_path: Path, schedule: str
) -> None:
    """Once the run is resumed, its rates are those of a run that had this length from the beginning."""

    def rates(name: str) -> list[float]:
        with (tmp_path / name / "metrics.csv").open() as file:
            return [float(row["lr"]) for row in csv.DictReader(file)]

    given = (*command, schedule)
    train(request_of(tmp_path / "whole", *given, "trainer.max_epochs=5"))
    folder = tmp_path / "longer"
    train(request_of(folder, *given))
    if "warmup" not in schedule:  # of the shorter run it has as many steps
        assert rates("longer")[1] != pytest.approx(rates("whole")[1])
    train(request_of(folder, *given, "trainer.max_epochs=5", previous=folder))
    assert rates("longer")[EPOCHS:] == pytest.approx(rates("whole")[EPOCHS:])


def test_one_process_a_run(stops: Stops, command: tuple[str, ...], tmp_path: Path) -> None:
    stops.countdown = 2
    with pytest.raises(KeyboardInterrupt):
        train(request_of(tmp_path / "run", *command))
    before = (tmp_path / "run/result.json").read_text()
    with RunFolder(tmp_path / "run")._lock, pytest.raises(UserError, match="another process is training"):
        train(request_of(tmp_path / "run", *command, previous=tmp_path / "run"))
    assert (tmp_path / "run/result.json").read_text() == before


def test_a_crash_between_an_epoch_s_row_and_its_checkpoint(
    stops: Stops, command: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The epoch is trained again, and stands in metrics.csv once."""
    train(request_of(tmp_path / "whole", *command))
    folder = tmp_path / "crashed"
    with monkeypatch.context() as patched:
        patched.setattr(TrainingCheckpoint, "on_train_end", lambda *_: os.no_such_name)
        with pytest.raises(AttributeError, match="no_such_name"):
            train(request_of(folder, *command))
    assert len((folder / "metrics.csv").read_text().splitlines()) == 1 + EPOCHS
    train(request_of(folder, *command, previous=folder))
    assert differences(outcome(folder), outcome(tmp_path / "whole")) == []


def test_stopped_before_the_first_step(
    stops: Stops, command: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is saved yet; it is resumed from the beginning."""
    train(request_of(tmp_path / "whole", *command))
    folder, made = tmp_path / "stopped", ImageDataModule.train_dataloader

    def interrupted(module: ImageDataModule) -> BatchLoader:
        os.kill(os.getpid(), signal.SIGINT)
        return made(module)

    with monkeypatch.context() as patched:
        patched.setattr(ImageDataModule, "train_dataloader", interrupted)
        with pytest.raises(KeyboardInterrupt, match="stopped by SIGINT"):
            train(request_of(folder, *command))
    assert not list((folder / "checkpoints").iterdir())
    train(request_of(folder, *command, previous=folder))
    assert differences(outcome(folder), outcome(tmp_path / "whole")) == []
