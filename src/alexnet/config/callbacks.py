"""Configuration of the callbacks, which monitor, save and stop a run."""

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, ClassVar

from omegaconf import MISSING

from alexnet.config.base import ValidatedConfig, check, check_fraction, check_positive
from alexnet.config.registry import FieldRegistry

if TYPE_CHECKING:
    from lightning import Callback

    from alexnet.config.training import TrainerConfig


class NonFinite(Enum):
    """Reaction to a step whose loss or gradients are not finite."""

    stop = "stop"
    skip = "skip"


@dataclass
class CheckpointConfig(ValidatedConfig):
    """Which checkpoints are saved, and how often."""

    last: bool = MISSING
    best: bool = MISSING
    every_n_steps: int | None = MISSING
    every_n_seconds: float | None = MISSING

    def check(self) -> None:
        for key in ("every_n_steps", "every_n_seconds"):
            check_positive(f"callbacks.checkpoint.{key}", getattr(self, key))


@dataclass
class NaNMonitorConfig(ValidatedConfig):
    """Reaction to a non-finite loss or gradient, and the loss above which a run counts as diverged."""

    nonfinite: NonFinite = MISSING
    divergence_factor: float = MISSING

    def check(self) -> None:
        key = "callbacks.nan_monitor.divergence_factor"
        check(self.divergence_factor > 1, key, self.divergence_factor, "a number above 1")


@dataclass
class ConvergenceMonitorConfig(ValidatedConfig):
    """When to warn that a run has not begun to learn."""

    epochs: int = MISSING
    steps: int = MISSING
    margin: float = MISSING
    stop: bool = MISSING

    def check(self) -> None:
        check_positive("callbacks.convergence_monitor.epochs", self.epochs)
        check(self.steps >= 0, "callbacks.convergence_monitor.steps", self.steps, "0 or more")
        check_fraction("callbacks.convergence_monitor.margin", self.margin)


@dataclass
class ActivationMonitorConfig(ValidatedConfig):
    """Statistics of each layer after every epoch, over `images` validation images; None is off."""

    images: int | None = MISSING

    def check(self) -> None:
        check_positive("callbacks.activation_monitor.images", self.images)


@dataclass
class CallbackConfig(ValidatedConfig):
    """Options of a callback added by a module, with their defaults; see `register_callback`."""

    required_methods: ClassVar[tuple[str, ...]] = ("build",)

    @property
    def weight_copies(self) -> int:
        """Number of weight-sized tensors that it keeps, in memory and in last.ckpt."""
        return 0

    def build(self) -> "Callback | None":
        """Build the callback, on every rank; return None if it is off."""
        raise NotImplementedError

    def check_trainer(self, trainer: "TrainerConfig") -> None:
        """Raise `UserError` if the callback does not work with this trainer."""


@dataclass
class CallbacksConfig(ValidatedConfig):
    """Callbacks of a run. Each that is registered adds the key of its name."""

    checkpoint: CheckpointConfig = field(default_factory=CheckpointConfig)
    nan_monitor: NaNMonitorConfig = field(default_factory=NaNMonitorConfig)
    convergence_monitor: ConvergenceMonitorConfig = field(default_factory=ConvergenceMonitorConfig)
    activation_monitor: ActivationMonitorConfig = field(default_factory=ActivationMonitorConfig)


CALLBACKS = FieldRegistry(
    "callback", "callbacks", CallbacksConfig, CallbackConfig, package="alexnet.callbacks.optional"
)
register_callback = CALLBACKS.register
