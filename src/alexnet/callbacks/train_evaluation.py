"""Evaluation on the training images after every epoch."""

import logging
from typing import Any

import torch
from lightning import Callback, Trainer

from alexnet.metrics.split import SplitMetrics
from alexnet.models.layer_stats import evaluation_mode

log = logging.getLogger(__name__)

COUNTS = ("samples", "unreadable")  # the same as in training


class TrainEvaluation(Callback):
    """Log the metrics of the training images as train_eval/loss, train_eval/top1_error and so on.

    The images are cropped as in validation, and the network is in evaluation mode. Once the top-1 error is
    below `stop_below` percent the run ends, with the number of epochs that it took as
    train_eval/epochs_to_stop: interpolated between the ends of two epochs, from chance at 0. Training does
    not change by a bit.
    """

    def __init__(self, stop_below: float | None) -> None:
        self.stop_below = stop_below
        self._last_error: float | None = None

    def on_train_epoch_end(self, trainer: Trainer, pl_module: Any) -> None:
        metrics = self._evaluate(trainer, pl_module)
        values = metrics.compute()
        counts = [f"{metrics.prefix}{name}" for name in COUNTS]
        pl_module.log_dict({name: value for name, value in values.items() if name not in counts})
        if self.stop_below is None:
            return
        error = float(values[f"{metrics.prefix}top1_error"])
        before = 100 * (1 - 1 / pl_module.classes) if self._last_error is None else self._last_error
        self._last_error = error
        if error < self.stop_below:
            share = 0.0 if before <= self.stop_below else (before - self.stop_below) / (before - error)
            pl_module.log(f"{metrics.prefix}epochs_to_stop", trainer.current_epoch + share)
            trainer.should_stop = True
            if trainer.is_global_zero:
                log.info(f"Training error {error:.1f}%, below {self.stop_below:g}%: stopping.")

    @staticmethod
    def _evaluate(trainer: Trainer, pl_module: Any) -> SplitMetrics:
        metrics = SplitMetrics("train", pl_module.classes, prefix="train_eval/").to(pl_module.device)
        pl_module.share_metrics(metrics)
        datamodule: Any = trainer.datamodule  # type: ignore[attr-defined]
        context = trainer.precision_plugin.forward_context()
        with evaluation_mode(pl_module.network), torch.no_grad(), context:
            for images, labels in datamodule.train_eval_batches():
                pl_module.evaluate(images, labels, metrics)
        return metrics

    def state_dict(self) -> dict[str, Any]:
        return {"last_error": self._last_error}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._last_error = state_dict["last_error"]
