"""Detection of training that does not start to learn."""

import logging
from typing import Any

from lightning import Callback, LightningModule, Trainer

from alexnet.config import ConvergenceMonitorConfig
from alexnet.errors import DivergedError
from alexnet.terminal import counted

log = logging.getLogger(__name__)

HINT = (
    "Try a larger or smaller optimizer.lr, other initial weights (with the paper's, model.init=paper, AlexNet"
    " often does not start), or check that the labels belong to the images."
)


class ConvergenceMonitor(Callback):
    """Warn if the loss is still at chance after `config.epochs` epochs and `config.steps` steps.

    `chance_loss` is that of equal probabilities; the cross-entropy is ln(classes) then. AlexNet's known
    failure is a loss that stays there for many epochs (6.9 for 1000 classes). With `config.stop` it raises
    `DivergedError` instead of warning. `warning` is withdrawn from a network that begins to learn later.
    """

    def __init__(self, config: ConvergenceMonitorConfig, chance_loss: float) -> None:
        self.config = config
        self.chance = chance_loss
        self.warning: str | None = None
        self._checked = False

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        loss = float(trainer.callback_metrics["train/loss"])
        epochs = trainer.current_epoch + 1
        learns = loss <= self.chance - self.config.margin * abs(self.chance)
        if learns and self._checked:
            self.warning = None  # it began late
        too_early = epochs < self.config.epochs or trainer.global_step < self.config.steps
        if too_early or self._checked:
            return
        self._checked = True
        if learns:
            return
        self.warning = (
            f"Not learning: after {counted(epochs, 'epoch')} the training loss is {loss:.3f}; chance level is"
            f" {self.chance:.3f}. {HINT}"
        )
        if self.config.stop:
            raise DivergedError(self.warning)  # the same command would not start to learn either
        if trainer.is_global_zero:
            log.warning(self.warning)

    def state_dict(self) -> dict[str, Any]:
        return {"checked": self._checked, "warning": self.warning}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._checked, self.warning = state_dict["checked"], state_dict["warning"]
