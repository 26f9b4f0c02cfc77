"""Early stopping that says so."""

import logging

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import EarlyStopping

from alexnet.terminal import counted

log = logging.getLogger(__name__)


class ReportedEarlyStopping(EarlyStopping):
    """Lightning's callback, which prints either nothing or a line for each epoch."""

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        super().on_train_end(trainer, pl_module)
        if self.wait_count >= self.patience and trainer.is_global_zero:
            log.info(f"No lower {self.monitor} in {counted(self.patience, 'validation')}: stopped.")
