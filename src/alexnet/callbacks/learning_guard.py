"""Notice training that does not learn, or that falls apart, and say so early."""

import logging
import math
from collections.abc import Iterable
from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer
from torch import Tensor
from torch.distributed.tensor import DTensor
from torch.optim import Optimizer

from alexnet.config import LearningGuardConfig, NonFinite
from alexnet.distributed.collectives import all_reduce_max
from alexnet.errors import UserError

log = logging.getLogger(__name__)

HINT = (
    "Try model.init=cuda_convnet_2012 (the paper's text, model.init=paper, often stays there), a larger or"
    " smaller optimizer.lr, or check that the labels belong to the images."
)
LOOK_EVERY = 50  # steps, on a GPU
MOST_SKIPPED = 100  # steps in a row: the weights themselves are lost then


def all_finite(tensors: Iterable[Tensor]) -> bool:
    """Whether all numbers that this rank holds of them are finite. Waits for the device."""
    ours = [tensor.to_local() if isinstance(tensor, DTensor) else tensor for tensor in tensors]
    return bool(torch.stack([tensor.detach().isfinite().all() for tensor in ours]).all())


class LearningGuard(Callback):
    """Warn when the loss is still that of guessing after `config.epochs` epochs and `config.steps` steps.

    Guessing gives ln(classes). AlexNet's known failure is a loss that stays there for epochs on
    end (6.9 for 1000 classes). Raises `UserError` where `config.stop` says so.

    A loss that is no finite number, or has exploded, is told to who asks (`failed`), because what is done of
    it must be done by all ranks, and before anything is saved. Where `config.nonfinite` is skip, a step
    whose gradients are not finite leaves weights and velocities as they are, and is counted in `skipped`.
    """

    def __init__(self, config: LearningGuardConfig, classes: int) -> None:
        self.config = config
        self.guessing = math.log(classes)
        self.judged = False
        self.warning: str | None = None
        self.skipped = 0
        self._in_a_row = 0
        self._lost: Tensor | None = None  # on the device, which is not waited for at every step

    def failed(self, trainer: Trainer, loss: Tensor) -> bool:
        """Take in a step's loss. Whether one is known to be lost: on a GPU that may take some steps."""
        lost = ~(loss.detach() < self.config.explosion * self.guessing)  # so NaN is, too
        if self.config.nonfinite is NonFinite.skip:
            lost &= loss.detach().isfinite()
        self._lost = lost if self._lost is None else self._lost | lost
        look = loss.device.type == "cpu" or trainer.global_step % LOOK_EVERY == 0
        return look and self.lost

    @property
    def lost(self) -> bool:
        """Whether any step's loss was lost. Waits for the device."""
        return self._lost is not None and bool(self._lost)

    def fail(self, trainer: Trainer) -> None:
        """Raises `UserError`, which says what happened and what to try."""
        raise UserError(
            f"The training loss is no finite number any more, or over {self.config.explosion:g} times that of"
            f" guessing, at step {trainer.global_step} (epoch {trainer.current_epoch + 1}). Try a smaller"
            f" optimizer.lr (it is {trainer.optimizers[0].param_groups[0]['lr']:g}). Where single batches are"
            " to blame: callbacks.learning_guard.nonfinite=skip."
        )

    def on_before_optimizer_step(
        self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer
    ) -> None:
        if self.config.nonfinite is not NonFinite.skip:
            return
        finite = all_finite(p.grad for p in pl_module.parameters() if p.grad is not None)
        if not all_reduce_max(int(not finite)):  # of a network in parts no rank has all gradients
            self._in_a_row = 0
            return
        optimizer.zero_grad(set_to_none=True)  # without gradients an update changes nothing
        self.skipped += 1
        self._in_a_row += 1
        if self._in_a_row > MOST_SKIPPED:
            self.fail(trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        loss = float(trainer.callback_metrics["train/loss"])
        epochs = trainer.current_epoch + 1
        early = epochs < self.config.epochs or trainer.global_step < self.config.steps
        if early or self.judged:
            return
        self.judged = True
        if loss <= self.guessing * (1 - self.config.margin):
            return
        self.warning = (
            f"Not learning: after {epochs} epochs the training loss is {loss:.3f}, and guessing gives"
            f" ln({round(math.exp(self.guessing))}) = {self.guessing:.3f}. {HINT}"
        )
        if self.config.stop:
            raise UserError(self.warning)
        if trainer.is_global_zero:
            log.warning(self.warning)

    def state_dict(self) -> dict[str, Any]:
        return {"judged": self.judged, "warning": self.warning, "skipped": self.skipped}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.judged, self.warning = state_dict["judged"], state_dict["warning"]
        self.skipped = state_dict["skipped"]
