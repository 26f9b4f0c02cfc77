"""Configuration of the update rule and the learning-rate schedule: what all choices share."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from omegaconf import MISSING

from alexnet.config.base import ValidatedConfig, check, check_positive
from alexnet.config.registry import ConfigRegistry

if TYPE_CHECKING:
    from torch.optim import Optimizer
    from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau


@dataclass
class OptimizerConfig(ValidatedConfig):
    """An update rule; weights and biases are separate parameter groups."""

    required_methods: ClassVar[tuple[str, ...]] = ("build",)
    weight_copies: ClassVar[int] = 1  # tensors as large as the weights that the rule keeps: velocities

    rule: str = MISSING
    lr: float = MISSING
    weight_decay: float = MISSING
    bias_lr_factor: float = MISSING
    bias_weight_decay: float = MISSING
    layer_weight_decay: dict[str, float] = field(default_factory=dict)
    layer_lr_factor: dict[str, float] = field(default_factory=dict)
    freeze: list[str] = MISSING
    freeze_from: float = MISSING

    def build(self, groups: list[dict[str, Any]]) -> "Optimizer":
        """Build the optimizer of parameter groups, each with its own lr and weight_decay."""
        raise NotImplementedError

    def check(self) -> None:
        check_positive("optimizer.lr", self.lr)
        for key in ("weight_decay", "bias_lr_factor", "bias_weight_decay"):
            check(getattr(self, key) >= 0, f"optimizer.{key}", getattr(self, key), "0 or more")
        for key in ("layer_weight_decay", "layer_lr_factor"):
            for layer, value in getattr(self, key).items():
                check(value >= 0, f"optimizer.{key}.{layer}", value, "0 or more")
        expected = "a fraction of the run, from 0 to 1"
        check(0 <= self.freeze_from <= 1, "optimizer.freeze_from", self.freeze_from, expected)


@dataclass
class SchedulerConfig(ValidatedConfig):
    """A learning-rate schedule, after a linear warm-up over `warmup_epochs`."""

    required_methods: ClassVar[tuple[str, ...]] = ("build",)

    schedule: str = MISSING
    warmup_epochs: float = 0.0

    def build(self, optimizer: "Optimizer", epochs: int) -> "LRScheduler | ReduceLROnPlateau | None":
        """Build the schedule of a run of `epochs` epochs, stepped once per epoch; None for a constant rate.

        A `ReduceLROnPlateau` is stepped with val/top1_error.
        """
        raise NotImplementedError

    def check(self) -> None:
        check(self.warmup_epochs >= 0, "scheduler.warmup_epochs", self.warmup_epochs, "0 or more epochs")


OPTIMIZERS = ConfigRegistry(
    "update rule", OptimizerConfig, "optimizer", "rule", package="alexnet.optim.rules"
)
SCHEDULERS = ConfigRegistry(
    "schedule", SchedulerConfig, "scheduler", "schedule", package="alexnet.optim.schedules"
)
register_optimizer = OPTIMIZERS.register
register_scheduler = SCHEDULERS.register
