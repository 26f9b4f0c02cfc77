"""Cosine annealing."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from alexnet.config.optim import SchedulerConfig, register_scheduler

if TYPE_CHECKING:
    from torch.optim import Optimizer
    from torch.optim.lr_scheduler import LRScheduler


@register_scheduler("cosine")
@dataclass
class CosineConfig(SchedulerConfig):
    """The rate falls to zero along half a cosine."""

    def build(self, optimizer: "Optimizer", epochs: int) -> "LRScheduler":
        from torch.optim.lr_scheduler import CosineAnnealingLR

        return CosineAnnealingLR(optimizer, T_max=epochs)
