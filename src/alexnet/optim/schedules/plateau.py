"""Drops of the learning rate when the validation error stops improving (paper §5)."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from omegaconf import MISSING

from alexnet.config.base import check
from alexnet.config.optim import SchedulerConfig, register_scheduler

if TYPE_CHECKING:
    from torch.optim import Optimizer
    from torch.optim.lr_scheduler import ReduceLROnPlateau


@register_scheduler("plateau")
@dataclass
class PlateauConfig(SchedulerConfig):
    """The rate is multiplied by `factor` after over `patience` validations without a lower val/top1_error.

    At most `reductions` times.
    """

    factor: float = MISSING
    patience: int = MISSING
    reductions: int = MISSING

    def build(self, optimizer: "Optimizer", epochs: int) -> "ReduceLROnPlateau":
        from torch.optim.lr_scheduler import ReduceLROnPlateau

        # a warm-up has not begun yet: these are the rates after it
        floors = [group["lr"] * self.factor**self.reductions for group in optimizer.param_groups]
        return ReduceLROnPlateau(
            optimizer, factor=self.factor, patience=self.patience, threshold=0, min_lr=floors
        )

    def check(self) -> None:
        super().check()
        check(0 < self.factor <= 1, "scheduler.factor", self.factor, "a number above 0, at most 1")
        check(self.patience >= 0, "scheduler.patience", self.patience, "0 or more validations")
        check(self.reductions >= 0, "scheduler.reductions", self.reductions, "0 or more")
