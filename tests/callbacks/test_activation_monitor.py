"""Statistics of the layers after each epoch, which change nothing else."""

import csv
import logging
import os
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from alexnet.callbacks import activation_monitor, throughput_monitor
from alexnet.callbacks.activation_monitor import ActivationMonitor
from alexnet.data.loading import load_image_data
from alexnet.data.sampling import epoch_order
from alexnet.runs.folder import RunFolder
from alexnet.runs.trained_model import load_trained_model
from alexnet.training.fit import train
from alexnet.training.module import ClassificationModule
from conftest import SMALL, request_of
from survival import differences, outcome

IMAGES = 20  # in two parts


@pytest.fixture(scope="module")
def command(synthetic: tuple[str, ...]) -> tuple[str, ...]:
    small = (*SMALL, *synthetic, "model.width=0.05", "logger=csv", "trainer.precision=bf16-mixed")
    return (*small, f"callbacks.activation_monitor.images={IMAGES}")


@pytest.fixture(scope="module")
def monitored(command: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("monitored") / "run"
    train(request_of(folder, *command))
    return folder


def table(folder: Path) -> list[dict[str, str]]:
    with (folder / "layers.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_before_training_and_after_every_epoch(monitored: Path, command: tuple[str, ...]) -> None:
    """The last rows are those of the weights at the end, by .backward() over the same images."""
    rows = table(monitored)
    layers = ["conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8"]
    assert [(row["epoch"], row["layer"]) for row in rows] == [(e, name) for e in "012" for name in layers]
    trained = load_trained_model(None, str(monitored / "checkpoints/last.ckpt"))
    data = load_image_data(request_of(monitored, *command).config.data).val
    first = epoch_order(0, 0, len(data))[:IMAGES]
    squares = np.zeros((IMAGES, 3, 256, 256), np.uint8)
    labels = torch.tensor(
        [data.read(int(index), square) for index, square in zip(first, squares, strict=True)]
    )
    logits = trained.network(trained.crops.center(torch.from_numpy(squares)))
    functional.cross_entropy(logits, labels).backward()
    last = {row["layer"]: row for row in rows[-len(layers) :]}
    for name in layers:
        weight = trained.network.get_submodule(name).weight
        assert float(last[name]["gradient_norm"]) == pytest.approx(float(weight.grad.norm()), rel=1e-3)
        assert float(last[name]["weight_norm"]) == pytest.approx(float(weight.detach().norm()), rel=1e-5)
    rms = float(logits.detach().square().mean().sqrt())
    assert float(last["fc8"]["activation_rms"]) == pytest.approx(rms, rel=1e-4)
    assert last["fc8"]["dead_fraction"] == ""
    assert 0 <= float(last["fc7"]["dead_fraction"]) <= 1
    assert (monitored / "figures/layers.png").stat().st_size > 10_000


def test_the_run_stays_bit_identical(monitored: Path, command: tuple[str, ...], tmp_path: Path) -> None:
    train(request_of(tmp_path / "run", *command, "callbacks.activation_monitor.images=null"))
    actual, expected = outcome(monitored), outcome(tmp_path / "run")
    for run in (actual, expected):
        del run["checkpoints"]["last.ckpt"]["callbacks"]["ActivationMonitor"]
    assert differences(actual, expected) == []
    assert not (tmp_path / "run/layers.csv").exists()
    assert not (tmp_path / "run/figures/layers.png").exists()


@pytest.mark.parametrize("step", [1, 6])
def test_stopped_and_resumed(
    monitored: Path, command: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """In the first epoch and in the second: the same table as without a stop."""
    monkeypatch.setattr(activation_monitor, "draw_layers", lambda *_: None)
    steps, step_of = [], ClassificationModule.training_step

    def training_step(module: ClassificationModule, batch: Any, batch_idx: int) -> Any:
        steps.append(batch_idx)
        if len(steps) == step:
            os.kill(os.getpid(), signal.SIGTERM)
        return step_of(module, batch, batch_idx)

    monkeypatch.setattr(ClassificationModule, "training_step", training_step)
    folder = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        train(request_of(folder, *command))
    epochs = {row["epoch"] for row in table(folder)}
    assert epochs == ({"0"} if step == 1 else {"0", "1"})
    train(request_of(folder, *command, previous=folder))
    assert table(folder) == table(monitored)
    assert differences(outcome(folder), outcome(monitored)) == []


def test_its_time_is_neither_training_nor_waiting(
    command: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a clock that stands still but for the probe."""
    now = [0.0]
    measure = activation_monitor.measure_layers

    def slow(*arguments: Any, **options: Any) -> Any:
        now[0] += 1000
        return measure(*arguments, **options)

    monkeypatch.setattr(activation_monitor, "draw_layers", lambda *_: None)
    monkeypatch.setattr(activation_monitor, "measure_layers", slow)
    monkeypatch.setattr(throughput_monitor, "perf_counter", lambda: now[0])
    train(request_of(tmp_path / "run", *command))
    assert now == [3000]
    result = outcome(tmp_path / "run")["result"]
    measured = [result[key] for key in ("images_per_second", "data_wait_fraction", "startup_seconds")]
    assert measured == [None, None, 0]  # no second has passed


def test_a_divided_network_is_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    parts: Any = (None, SimpleNamespace(device_mesh=object()))
    probe = ActivationMonitor(RunFolder(tmp_path), Any, 8, "")
    with caplog.at_level(logging.INFO):
        probe.on_train_start(*parts)
        probe.on_train_epoch_end(*parts)
    assert [record.message for record in caplog.records] == [
        "Layers    not measured: this strategy splits the network across devices."
    ]
    assert not list(tmp_path.iterdir())
