"""Drops of the learning rate at fixed epochs."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from omegaconf import MISSING

from alexnet.config.base import check
from alexnet.config.optim import SchedulerConfig, register_scheduler

if TYPE_CHECKING:
    from torch.optim import Optimizer
    from torch.optim.lr_scheduler import LRScheduler


@register_scheduler("step")
@dataclass
class StepConfig(SchedulerConfig):
    """The rate is multiplied by `factor` at each of `milestones`, fractions of the run's epochs."""

    factor: float = MISSING
    milestones: list[float] = MISSING

    def build(self, optimizer: "Optimizer", epochs: int) -> "LRScheduler":
        from torch.optim.lr_scheduler import MultiStepLR

        milestones = [max(1, round(fraction * epochs)) for fraction in self.milestones]
        return MultiStepLR(optimizer, milestones, gamma=self.factor)

    def check(self) -> None:
        super().check()
        check(0 < self.factor <= 1, "scheduler.factor", self.factor, "a number above 0, at most 1")
        check(
            all(0 < m < 1 for m in self.milestones) and list(self.milestones) == sorted(self.milestones),
            "scheduler.milestones",
            self.milestones,
            "increasing fractions of the run between 0 and 1",
        )
