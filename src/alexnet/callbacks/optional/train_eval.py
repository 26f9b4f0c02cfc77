"""Errors on the training images without noise, and ending a run that has reached one."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from alexnet.config.base import check
from alexnet.config.callbacks import CallbackConfig, register_callback

if TYPE_CHECKING:
    from lightning import Callback


@register_callback("train_eval")
@dataclass
class TrainEvalConfig(CallbackConfig):
    """After every epoch, evaluate all training images, cropped as in validation and without dropout.

    The run ends once their top-1 error, in percent, is below `stop_below`, which turns the evaluation on.
    """

    enabled: bool = False
    stop_below: float | None = None

    def build(self) -> "Callback | None":
        if not self.enabled and self.stop_below is None:
            return None
        from alexnet.callbacks.train_evaluation import TrainEvaluation

        return TrainEvaluation(self.stop_below)

    def check(self) -> None:
        limit = self.stop_below
        expected = "a percentage above 0, or null"
        check(limit is None or 0 < limit <= 100, "callbacks.train_eval.stop_below", limit, expected)
