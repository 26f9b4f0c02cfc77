"""Configuration of the update rule and the learning-rate schedule."""

from dataclasses import dataclass
from enum import Enum

from omegaconf import MISSING

from alexnet.config.base import ValidatedConfig, check, check_fraction, check_positive


class UpdateRule(Enum):
    """Form of the momentum update: learning rate inside the velocity (paper), or outside it (PyTorch)."""

    paper = "paper"
    pytorch = "pytorch"


class Schedule(Enum):
    """Schedule of the learning rate over a run."""

    constant = "constant"
    step = "step"
    plateau = "plateau"
    cosine = "cosine"


@dataclass
class OptimizerConfig(ValidatedConfig):
    """Stochastic gradient descent with momentum; weights and biases are separate parameter groups."""

    rule: UpdateRule = MISSING
    lr: float = MISSING
    momentum: float = MISSING
    weight_decay: float = MISSING
    bias_lr_factor: float = MISSING
    bias_weight_decay: float = MISSING
    freeze: list[str] = MISSING
    freeze_from: float = MISSING

    def check(self) -> None:
        check_positive("optimizer.lr", self.lr)
        check_fraction("optimizer.momentum", self.momentum)
        for key in ("weight_decay", "bias_lr_factor", "bias_weight_decay"):
            check(getattr(self, key) >= 0, f"optimizer.{key}", getattr(self, key), "0 or more")
        expected = "a fraction of the run, from 0 to 1"
        check(0 <= self.freeze_from <= 1, "optimizer.freeze_from", self.freeze_from, expected)


@dataclass
class SchedulerConfig(ValidatedConfig):
    """Learning-rate schedule. `milestones` are fractions of the run's epochs."""

    schedule: Schedule = MISSING
    factor: float = MISSING
    milestones: list[float] = MISSING
    patience: int = MISSING
    reductions: int = MISSING

    def check(self) -> None:
        check(0 < self.factor <= 1, "scheduler.factor", self.factor, "a number above 0, at most 1")
        check(
            all(0 < m < 1 for m in self.milestones) and list(self.milestones) == sorted(self.milestones),
            "scheduler.milestones",
            self.milestones,
            "increasing fractions of the run between 0 and 1",
        )
        check(self.patience >= 0, "scheduler.patience", self.patience, "0 or more epochs")
        check(self.reductions >= 0, "scheduler.reductions", self.reductions, "0 or more")
