"""Averages of the weights against a plain loop; which of the two is saved, evaluated and resumed."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import alexnet
from alexnet.callbacks.train_evaluation import TrainEvaluation
from alexnet.callbacks.weight_average import WeightAverage
from alexnet.data.loading import load_image_data
from alexnet.files import read_csv_columns
from alexnet.runs.checkpoint_io import read_checkpoint
from alexnet.training.components import build_components
from alexnet.training.fit import train
from alexnet.training.trainer import _optional_callbacks
from conftest import SMALL, compose_config, request_of
from test_config import mistake

DECAY = 0.4  # reached in the sixth of eight steps
RUN = (*SMALL, "logger=csv", "optimizer.lr=0.02", "model.batch_norm=true", "scheduler=constant")
ON = f"callbacks.ema.decay={DECAY}"


class Recorded:
    """The network's weights after each step."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.weights: list[dict[str, Tensor]] = []
        update = WeightAverage.on_train_batch_end

        def record(callback: WeightAverage, trainer: Any, module: Any, *arguments: Any) -> None:
            self.weights.append({name: value.clone() for name, value in module.state_dict().items()})
            update(callback, trainer, module, *arguments)

        monkeypatch.setattr(WeightAverage, "on_train_batch_end", record)

    def averages(self, initial: dict[str, Tensor]) -> list[dict[str, Tensor]]:
        """The averages after each step, in float64, one number after another."""
        average = {name: value.double() for name, value in initial.items()}
        history = []
        for step, weights in enumerate(self.weights, 1):
            decay = min(DECAY, (1 + step) / (10 + step))
            for name, value in weights.items():
                if value.is_floating_point():
                    average[name] = decay * average[name] + (1 - decay) * value.double()
                else:
                    average[name] = value
            history.append(dict(average))
        return history


def check_close(ours: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert ours.keys() == expected.keys()
    for name, value in ours.items():
        torch.testing.assert_close(value, expected[name].to(value.dtype), rtol=1e-5, atol=1e-7)


def test_is_that_of_a_loop(
    tmp_path: Path, synthetic: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In last.ckpt beside the weights, in best.ckpt instead of them, and where the run is evaluated."""
    request = request_of(tmp_path / "run", *RUN, *synthetic, ON)
    recorded = Recorded(monkeypatch)
    initial = build_components(request).module.state_dict()
    train(request)
    averages = recorded.averages(initial)
    last, best = (read_checkpoint(tmp_path / f"run/checkpoints/{name}.ckpt") for name in ("last", "best"))
    check_close(last["state_dict_ema"], averages[-1])
    for name, weight in recorded.weights[-1].items():
        assert torch.equal(last["state_dict"][name], weight)
    metrics = read_csv_columns(tmp_path / "run/metrics.csv")
    best_epoch = int(np.argmin(metrics["val/top1_error"]))  # type: ignore[arg-type]
    check_close(best["state_dict"], averages[4 * best_epoch + 3])
    assert "state_dict_ema" not in best

    (tmp_path / "run/checkpoints/best.ckpt").unlink()
    network = alexnet.load_run(tmp_path / "run").network
    check_close(network.state_dict(), {n.removeprefix("network."): w for n, w in averages[-1].items()})
    data = load_image_data(compose_config(*synthetic, "data.workers=0").data)
    image, losses = torch.empty(3, 256, 256, dtype=torch.uint8), []
    for index in range(len(data.val)):
        label = data.val.read(index, image.numpy())
        crop = (image - torch.from_numpy(data.statistics.mean))[None, :, 14:241, 14:241]
        with torch.no_grad():
            losses.append(float(nn.functional.cross_entropy(network.eval()(crop), torch.tensor([label]))))
    assert metrics["val/loss"][-1] == pytest.approx(np.mean(losses), rel=1e-4)


def test_training_images_are_evaluated_with_the_averages() -> None:
    """Callbacks are called in this order: the averages are in the network first, also without validation."""
    config = compose_config(ON, "callbacks.train_eval.enabled=true").callbacks
    assert [type(callback) for callback in _optional_callbacks(config)] == [WeightAverage, TrainEvaluation]


@pytest.mark.slow
def test_off_and_on_again(tmp_path: Path, synthetic: tuple[str, ...]) -> None:
    """Resumed without, it is the run that never had any; resumed with, the averages begin there."""
    folder = tmp_path / "run"
    train(request_of(folder, *RUN, *synthetic, ON, "trainer.max_epochs=1"))
    train(request_of(folder, *RUN, *synthetic, previous=folder))
    train(request_of(tmp_path / "plain", *RUN, *synthetic))
    ours, plain = (read_checkpoint(tmp_path / name / "checkpoints/last.ckpt") for name in ("run", "plain"))
    assert "state_dict_ema" not in ours
    for name, weight in plain["state_dict"].items():
        assert torch.equal(ours["state_dict"][name], weight)
    train(request_of(folder, *RUN, *synthetic, ON, "trainer.max_epochs=3", previous=folder))
    assert "state_dict_ema" in read_checkpoint(folder / "checkpoints/last.ckpt")


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        (["callbacks.ema.decay=1"], "callbacks.ema.decay=1.0: expected a number between 0 and 1, or null"),
        (
            ["callbacks.ema.decay=0.9", "trainer.precision=bf16-true"],
            "trainer.precision=bf16-true: expected another one with callbacks.ema.decay",
        ),
    ],
)
def test_mistakes(typed: list[str], told: str) -> None:
    assert told in mistake(*typed)
