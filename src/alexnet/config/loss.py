"""Configuration of the loss: what all choices share."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from omegaconf import MISSING

from alexnet.config.base import ValidatedConfig
from alexnet.config.registry import ConfigRegistry

if TYPE_CHECKING:
    from torch import Tensor


@dataclass
class LossConfig(ValidatedConfig):
    """A loss per image, whose mean over the global batch is minimized."""

    required_methods: ClassVar[tuple[str, ...]] = ("build",)

    name: str = MISSING

    def build(self, classes: int) -> "Callable[..., Tensor]":
        """Build the function that maps logits (N, classes) and labels (N,) to one loss per image (N,).

        With a teacher, it also takes the teacher's logits (N, classes) in training.
        """
        raise NotImplementedError

    def teacher_source(self) -> str | None:
        """Return where the teacher comes from; None if the loss has none."""
        return None


LOSSES = ConfigRegistry("loss", LossConfig, "loss", "name", package="alexnet.losses")
register_loss = LOSSES.register
