"""Ending a run that no longer improves."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from alexnet.config.base import check, check_positive
from alexnet.config.callbacks import CallbackConfig, register_callback

if TYPE_CHECKING:
    from lightning import Callback


@register_callback("early_stopping")
@dataclass
class EarlyStoppingConfig(CallbackConfig):
    """Lightning's EarlyStopping on val/top1_error."""

    patience: int | None = None
    min_delta: float = 0.0

    def build(self) -> "Callback | None":
        if self.patience is None:
            return None
        from alexnet.callbacks.early_stopping import ReportedEarlyStopping

        return ReportedEarlyStopping(
            "val/top1_error", min_delta=self.min_delta, patience=self.patience, check_finite=False
        )

    def check(self) -> None:
        check_positive("callbacks.early_stopping.patience", self.patience)
        check(self.min_delta >= 0, "callbacks.early_stopping.min_delta", self.min_delta, "0 or more")
