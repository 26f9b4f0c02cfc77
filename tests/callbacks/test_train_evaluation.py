"""Errors on the training images without noise, and the end of a run that has reached one."""

from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import alexnet
from alexnet.callbacks.train_evaluation import TrainEvaluation
from alexnet.data.loading import load_image_data
from alexnet.files import read_csv_columns
from alexnet.runs.checkpoint_io import read_checkpoint
from conftest import SMALL, Train, compose_config

ON = "callbacks.train_eval.enabled=true"


def weights(folder: Path) -> dict[str, Tensor]:
    return read_checkpoint(folder / "checkpoints/last.ckpt")["state_dict"]


def test_is_the_error_on_the_centres_of_the_training_images(train: Train, synthetic: tuple[str, ...]) -> None:
    """Counted again from the weights, image by image; and training is the same to the last bit."""
    overrides = (*SMALL, *synthetic, "logger=csv", "optimizer.lr=0.01", "callbacks.checkpoint.best=false")
    plain = train(*overrides, "run_folder=plain")
    done = train(*overrides, ON, "run_folder=evaluated")
    assert (plain.status, done.status) == (0, 0), done.err
    folder = done.outputs.parent / "evaluated"
    ours, theirs = weights(folder), weights(done.outputs.parent / "plain")
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)

    run = alexnet.load_run(folder)
    data = load_image_data(compose_config(*synthetic, "data.workers=0").data)
    mean = torch.from_numpy(data.statistics.mean)
    wrong, losses = 0, []
    image = torch.empty(3, 256, 256, dtype=torch.uint8)
    for index in range(len(data.train)):
        label = data.train.read(index, image.numpy())
        crop = (image - mean)[None, :, 14:241, 14:241]
        with torch.no_grad():
            logits = run.network.eval()(crop)[0]
        wrong += int(logits.argmax()) != label
        losses.append(float(nn.functional.cross_entropy(logits, torch.tensor(label))))
    metrics = read_csv_columns(folder / "metrics.csv")
    assert metrics["train_eval/top1_error"][-1] == pytest.approx(100 * wrong / 61, rel=1e-5)
    assert metrics["train_eval/loss"][-1] == pytest.approx(sum(losses) / 61, rel=1e-3)
    assert "train_eval/samples" not in metrics


def test_the_run_ends_where_the_error_is_reached(train: Train, synthetic: tuple[str, ...]) -> None:
    stop = "callbacks.train_eval.stop_below=100"
    done = train(*SMALL, *synthetic, "logger=csv", "trainer.max_epochs=5", ON, stop, "run_folder=run")
    assert "below 100%: stopping." in done.out
    run = alexnet.load_run(done.outputs.parent / "run")
    assert run.result["status"] == "completed"
    assert run.result["epochs"] == 1


class FakeModule:
    """The part of ClassificationModule that the callback uses; errors are given."""

    classes = 10
    device = torch.device("cpu")
    network = nn.Identity()

    def __init__(self, wrong: int) -> None:
        self.wrong, self.logged = wrong, {}  # type: ignore[var-annotated]

    def share_metrics(self, metrics: Any) -> None: ...

    def evaluate(self, images: Tensor, labels: Tensor, metrics: Any) -> None:
        right = torch.arange(100) >= self.wrong
        logits = nn.functional.one_hot(right.long(), 10).float()
        metrics.count(torch.zeros(100), logits, labels)

    def log(self, name: str, value: float) -> None:
        self.logged[name] = value

    def log_dict(self, values: dict[str, Any]) -> None:
        self.logged |= values


def batches() -> Iterator[tuple[Tensor, Tensor]]:
    yield torch.zeros(100, 1), torch.ones(100, dtype=torch.int64)


def epochs_to_stop(errors: list[int], stop_below: float) -> float | None:
    """Run the callback over epochs that end with these errors, in percent; restored after each."""
    callback, reached = TrainEvaluation(stop_below), None
    for epoch, wrong in enumerate(errors):
        restored = TrainEvaluation(stop_below)
        restored.load_state_dict(callback.state_dict())
        callback = restored
        trainer: Any = SimpleNamespace(
            current_epoch=epoch,
            should_stop=False,
            is_global_zero=True,
            datamodule=SimpleNamespace(train_eval_batches=batches),
            precision_plugin=SimpleNamespace(forward_context=nullcontext),
        )
        module = FakeModule(wrong)
        callback.on_train_epoch_end(trainer, module)
        assert module.logged["train_eval/top1_error"] == wrong
        reached = module.logged.get("train_eval/epochs_to_stop")
        assert trainer.should_stop == (reached is not None) == (wrong < stop_below)
    return reached


@pytest.mark.parametrize(
    ("errors", "epochs"),
    [
        ([60, 40, 30, 20], 3.5),  # half-way between 30 and 20
        ([15], 65 / 75),  # from chance, 90
        ([40, 25], None),  # not below
        ([40, 25, 24], 2.0),
    ],
)
def test_epochs_are_interpolated(errors: list[int], epochs: float | None) -> None:
    assert epochs_to_stop(errors, 25) == (None if epochs is None else pytest.approx(epochs))


@pytest.mark.slow
def test_two_processes_evaluate_each_image_once(train: Train, synthetic: tuple[str, ...]) -> None:
    overrides = (*SMALL, *synthetic, "logger=csv", ON, "trainer.max_epochs=1", "optimizer.lr=0.01")
    errors = []
    for devices in (1, 2):
        done = train(*overrides, f"trainer.devices={devices}", f"run_folder=on{devices}")
        assert done.status == 0, done.err
        errors.append(read_csv_columns(done.outputs.parent / f"on{devices}/metrics.csv"))
    for name in ("train_eval/top1_error", "train_eval/loss"):
        assert errors[0][name] == pytest.approx(errors[1][name], rel=1e-4)
