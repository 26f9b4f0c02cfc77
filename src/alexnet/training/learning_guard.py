"""Notice training that does not learn, and say so early."""

import logging
import math
from typing import Any

from lightning import Callback, LightningModule, Trainer

from alexnet.config import LearningGuardConfig
from alexnet.errors import UserError

log = logging.getLogger(__name__)

HINT = (
    "Try model.init=program_2012 (the paper's text, model.init=paper, often stays there), a larger or"
    " smaller optimizer.lr, or check that the labels belong to the images."
)


class LearningGuard(Callback):
    """Warn when the loss is still that of guessing after `config.epochs` epochs and `config.steps` steps.

    Guessing gives ln(classes). AlexNet's known failure is a loss that stays there for epochs on
    end (6.9 for 1000 classes). Raises `UserError` where `config.stop` says so, and always for a
    loss that is not a finite number: nothing is learnt after that.
    """

    def __init__(self, config: LearningGuardConfig, classes: int) -> None:
        self.config = config
        self.guessing = math.log(classes)
        self.judged = False
        self.warning: str | None = None

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        loss = float(trainer.callback_metrics["train/loss"])
        epochs = trainer.current_epoch + 1
        if not math.isfinite(loss):
            raise UserError(
                f"The training loss became {loss} in epoch {epochs}. Try a smaller optimizer.lr"
                f" (it is {trainer.optimizers[0].param_groups[0]['lr']:g})."
            )
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
        return {"judged": self.judged, "warning": self.warning}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.judged, self.warning = state_dict["judged"], state_dict["warning"]
