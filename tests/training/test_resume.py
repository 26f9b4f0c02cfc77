"""A run that is stopped anywhere and goes on ends as one that was not, to the last bit."""

import json
import os
import random
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from torch import Tensor

from alexnet import cli
from alexnet.config import TrainConfig
from alexnet.run.request import Request
from alexnet.training.fit import train
from alexnet.training.module import AlexNetModule
from conftest import PROJECT, SMALL
from survival import differences, outcome

BATCHES, VAL_BATCHES, EPOCHS = 4, 2, 2


def request(folder: Path, *overrides: str, previous: Path | None = None) -> Request:
    """What train.py makes of such a command line."""
    with initialize_config_dir(str(PROJECT / "conf"), version_base="1.3"):
        raw = compose("train", list(overrides))
    config = cli.read_config(raw, TrainConfig)
    resolved = cli.plain(raw) | {"run_folder": str(folder)}
    config.run_folder = str(folder)
    return Request(config, resolved, list(overrides), previous)


Draw = Callable[[], list[float]]


def draw() -> list[float]:
    """From each library's generator, as a change of the code might."""
    return [random.random(), float(np.random.random()), float(torch.rand(()))]


class Stops:
    """Sends this process a signal in the n-th training or validation step, and logs what generators draw."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.training, self.validation = AlexNetModule.training_step, AlexNetModule.validation_step
        self.countdown = -1
        self.signal = signal.SIGTERM
        self.drawn: list[list[float]] = []
        stops = self

        def training_step(module: AlexNetModule, batch: Any, batch_idx: int) -> Tensor:
            stops.drawn.append(draw())
            stops.count()
            return stops.training(module, batch, batch_idx)

        def validation_step(module: AlexNetModule, batch: Any, batch_idx: int) -> None:
            stops.count()
            return stops.validation(module, batch, batch_idx)

        monkeypatch.setattr(AlexNetModule, "training_step", training_step)
        monkeypatch.setattr(AlexNetModule, "validation_step", validation_step)

    def count(self) -> None:
        self.countdown -= 1
        if self.countdown == 0:
            os.kill(os.getpid(), self.signal)


@pytest.fixture
def stops(monkeypatch: pytest.MonkeyPatch) -> Stops:
    return Stops(monkeypatch)


@pytest.mark.parametrize(
    "overrides",
    [
        (
            "data.workers=0",
            "scheduler=plateau",
            "scheduler.patience=0",
            "callbacks.early_stopping.patience=9",
        ),
        ("data.workers=2", "scheduler=step", "model.columns=2", "optimizer.freeze=[conv1]"),
    ],
    ids=["plateau", "step"],
)
def test_stopped_at_every_step(
    stops: Stops, synthetic: tuple[str, ...], tmp_path: Path, overrides: tuple[str, ...]
) -> None:
    """In training, in validation, in the first and the last step: the same run in the end."""
    command = (*SMALL, *synthetic, *overrides, f"trainer.max_epochs={EPOCHS}", "logger=csv")
    train(request(tmp_path / "whole", *command))
    whole, drawn = outcome(tmp_path / "whole"), list(stops.drawn)
    assert len(drawn) == EPOCHS * BATCHES
    for step in range(1, EPOCHS * (BATCHES + VAL_BATCHES) + 1):
        folder = tmp_path / f"stopped{step}"
        stops.countdown, stops.drawn = step, []
        try:
            train(request(folder, *command))
        except KeyboardInterrupt as stopped:
            assert "SIGTERM" in str(stopped)
            result = json.loads((folder / "result.json").read_text())
            assert (result["status"], result["error"]) == ("interrupted", "stopped by SIGTERM")
            train(request(folder, *command, previous=folder))
        else:
            assert step == EPOCHS * (BATCHES + VAL_BATCHES)  # there was nothing left to stop
        assert stops.drawn == drawn, f"stopped in step {step}"
        assert differences(outcome(folder), whole) == [], f"stopped in step {step}"
