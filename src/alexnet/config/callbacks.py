"""What watches, saves and ends a run."""

from dataclasses import dataclass, field
from enum import Enum

from omegaconf import MISSING

from alexnet.config.base import ValidatedConfig, check, check_fraction, check_positive


class NonFinite(Enum):
    """What to do at a step whose loss or gradients are not finite numbers."""

    stop = "stop"
    skip = "skip"


@dataclass
class CheckpointConfig(ValidatedConfig):
    """What is kept under checkpoints/, and how often."""

    last: bool = MISSING
    best: bool = MISSING
    every_n_steps: int | None = MISSING
    every_n_seconds: float | None = MISSING

    def check(self) -> None:
        for key in ("every_n_steps", "every_n_seconds"):
            check_positive(f"callbacks.checkpoint.{key}", getattr(self, key))


@dataclass
class EarlyStoppingConfig(ValidatedConfig):
    """When to end a run that gets no better."""

    patience: int | None = MISSING
    min_delta: float = MISSING

    def check(self) -> None:
        check_positive("callbacks.early_stopping.patience", self.patience)
        check(self.min_delta >= 0, "callbacks.early_stopping.min_delta", self.min_delta, "0 or more")


@dataclass
class LearningGuardConfig(ValidatedConfig):
    """When to say that a run does not learn, and when that it has fallen apart."""

    epochs: int = MISSING
    steps: int = MISSING
    margin: float = MISSING
    stop: bool = MISSING
    nonfinite: NonFinite = MISSING
    explosion: float = MISSING

    def check(self) -> None:
        check_positive("callbacks.learning_guard.epochs", self.epochs)
        check(self.steps >= 0, "callbacks.learning_guard.steps", self.steps, "0 or more")
        check_fraction("callbacks.learning_guard.margin", self.margin)
        check(self.explosion > 1, "callbacks.learning_guard.explosion", self.explosion, "a number above 1")


@dataclass
class ActivationMonitorConfig(ValidatedConfig):
    """What goes on in each layer, epoch by epoch; `images` of the validation are passed through."""

    images: int | None = MISSING

    def check(self) -> None:
        check_positive("callbacks.layer_probe.images", self.images)


@dataclass
class CallbacksConfig(ValidatedConfig):
    """What watches a run."""

    checkpoint: CheckpointConfig = field(default_factory=CheckpointConfig)
    early_stopping: EarlyStoppingConfig = field(default_factory=EarlyStoppingConfig)
    learning_guard: LearningGuardConfig = field(default_factory=LearningGuardConfig)
    layer_probe: ActivationMonitorConfig = field(default_factory=ActivationMonitorConfig)
