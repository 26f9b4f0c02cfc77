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
    """Warn when, after `config.epochs` epochs, the loss is still that of guessing: ln(classes).

    AlexNet's known failure is a loss that stays at ln(classes) for epochs on end (6.9 for 1000
    classes). Raises `UserError` where `config.stop` says so, and always for a loss that is not
    a finite number: nothing is learnt after that.
    """

    def __init__(self, config: LearningGuardConfig, classes: int) -> None:
        self.config = config
        self.guessing = math.log(classes)
        self.warning: str | None = None

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        loss = float(trainer.callback_metrics["train/loss"])
        epochs = trainer.current_epoch + 1
        if not math.isfinite(loss):
            raise UserError(
                f"The training loss became {loss} in epoch {epochs}. Try a smaller optimizer.lr"
                f" (it is {trainer.optimizers[0].param_groups[0]['lr']:g})."
            )
        if epochs != self.config.epochs or loss <= self.guessing * (1 - self.config.margin):
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
        return {"warning": self.warning}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.warning = state_dict["warning"]
