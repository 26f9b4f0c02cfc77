"""Learning-rate schedules, stepped once an epoch."""

from torch.optim import Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, MultiStepLR, ReduceLROnPlateau

from alexnet.config import Schedule, SchedulerConfig


def build_scheduler(
    optimizer: Optimizer, config: SchedulerConfig, epochs: int
) -> LRScheduler | ReduceLROnPlateau | None:
    """Build the schedule for a run of `epochs` epochs; None for a constant rate.

    The plateau schedule must be stepped with the validation error.
    """
    if config.schedule is Schedule.step:
        milestones = [max(1, round(fraction * epochs)) for fraction in config.milestones]
        return MultiStepLR(optimizer, milestones, gamma=config.factor)
    if config.schedule is Schedule.cosine:
        return CosineAnnealingLR(optimizer, T_max=epochs)
    if config.schedule is Schedule.plateau:
        floors = [group["lr"] * config.factor**config.reductions for group in optimizer.param_groups]
        return ReduceLROnPlateau(
            optimizer, factor=config.factor, patience=config.patience, threshold=0, min_lr=floors
        )
    return None
