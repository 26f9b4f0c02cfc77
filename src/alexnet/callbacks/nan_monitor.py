"""Detection of a loss or gradients that are not finite."""

import math
from collections.abc import Iterable
from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer
from torch import Tensor
from torch.distributed.tensor import DTensor
from torch.optim import Optimizer

from alexnet.config import NaNMonitorConfig, NonFinite
from alexnet.distributed.collectives import all_reduce_max
from alexnet.errors import DivergedError

CHECK_EVERY = 50  # steps, on a GPU
MOST_SKIPPED = 100  # steps in a row: the weights themselves are lost then


def all_finite(tensors: Iterable[Tensor]) -> bool:
    """Return whether the tensors' parts on this rank are finite. Waits for the device."""
    local = [tensor.to_local() if isinstance(tensor, DTensor) else tensor for tensor in tensors]
    return bool(torch.stack([tensor.detach().isfinite().all() for tensor in local]).all())


class NaNMonitor(Callback):
    """Track whether the training loss has diverged: it is not finite, or far above the loss at chance.

    `TrainingCheckpoint` calls `update` after each step, and `fail` on all ranks together, before a checkpoint
    is saved. With `config.nonfinite` skip, a step whose gradients are not finite leaves weights
    and velocities as they are, and is counted in `skipped`.
    """

    def __init__(self, config: NaNMonitorConfig, chance_loss: float) -> None:
        self.config = config
        self.limit = config.divergence_factor * chance_loss if chance_loss > 0 else math.inf
        self.skipped = 0
        self._in_a_row = 0
        self._diverged: Tensor | None = None  # on the device, which is not waited for at every step

    def update(self, trainer: Trainer, loss: Tensor) -> bool:
        """Record a step's loss. Return whether any has diverged, which on a GPU may show some steps later."""
        diverged = ~(loss.detach() < self.limit)  # true for NaN, too
        if self.config.nonfinite is NonFinite.skip:
            diverged &= loss.detach().isfinite()
        self._diverged = diverged if self._diverged is None else self._diverged | diverged
        check_now = loss.device.type == "cpu" or trainer.global_step % CHECK_EVERY == 0
        return check_now and self.diverged

    @property
    def diverged(self) -> bool:
        """Return whether the loss of any step has diverged. Waits for the device."""
        return self._diverged is not None and bool(self._diverged)

    def fail(self, trainer: Trainer) -> None:
        """Raise `DivergedError` with what happened and what to try."""
        group = trainer.optimizers[0].param_groups[0]
        skips = self.config.nonfinite is NonFinite.skip
        if self._in_a_row > MOST_SKIPPED:
            what = f"The gradients of {self._in_a_row} steps in a row were not finite"
        else:
            above = f"over {self.config.divergence_factor:g} times the loss at chance"
            what = f"The training loss is {above if skips else f'no longer finite, or {above}'}"
        skip = " If single batches are to blame: callbacks.nan_monitor.nonfinite=skip."
        raise DivergedError(
            f"{what}, at step {trainer.global_step} (epoch {trainer.current_epoch + 1}). Try a smaller"
            f" optimizer.lr (now {group.get('initial_lr', group['lr']):g}).{'' if skips else skip}"
        )

    def on_before_optimizer_step(
        self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer
    ) -> None:
        if self.config.nonfinite is not NonFinite.skip:
            return
        finite = all_finite(p.grad for p in pl_module.parameters() if p.grad is not None)
        if not all_reduce_max(int(not finite)):  # no rank has all gradients of a divided network
            self._in_a_row = 0
            return
        optimizer.zero_grad(set_to_none=True)  # without gradients an update changes nothing
        self.skipped += 1
        self._in_a_row += 1
        if self._in_a_row > MOST_SKIPPED:
            self.fail(trainer)

    def state_dict(self) -> dict[str, Any]:
        return {"skipped": self.skipped}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.skipped = state_dict["skipped"]
