"""Takes stock of the images after each epoch, over all ranks together."""

import torch.distributed
from lightning import Callback, LightningModule, Trainer

from alexnet.data.datamodule import ImageDataModule


class Census(Callback):
    """Every rank knows what any rank could not read, and each validation image was counted once.

    Raises `UserError` on all ranks where too many images are unreadable.
    """

    def __init__(self, datamodule: ImageDataModule) -> None:
        self.datamodule = datamodule
        self._validated = False

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._validated = True

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        data = self.datamodule.data
        if trainer.world_size > 1:
            for split in (data.train, data.val):
                found: list[dict[str, str]] = [{}] * trainer.world_size
                torch.distributed.all_gather_object(found, split.unreadable)
                for elsewhere in found:
                    split.unreadable |= elsewhere
        self.datamodule.check_unreadable(data.newly_unreadable())
        loader = self._validated and trainer.val_dataloaders
        if loader and trainer.num_val_batches == [len(loader)]:
            metrics = trainer.callback_metrics
            counted = int(metrics["val/samples"] + metrics["val/unreadable"])
            if counted != len(data.val):
                raise RuntimeError(f"Validation counted {counted} images, not each of {len(data.val)} once.")
        self._validated = False
