"""A constant learning rate."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from alexnet.config.optim import SchedulerConfig, register_scheduler

if TYPE_CHECKING:
    from torch.optim import Optimizer


@register_scheduler("constant")
@dataclass
class ConstantConfig(SchedulerConfig):
    """The rate stays as it is."""

    def build(self, optimizer: "Optimizer", epochs: int) -> None:
        return None
