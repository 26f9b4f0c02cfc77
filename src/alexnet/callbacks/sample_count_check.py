"""A count of the images after each epoch, over all ranks."""

from typing import Any

from lightning import Callback, LightningModule, Trainer

from alexnet.data.datamodule import ImageDataModule
from alexnet.distributed.collectives import all_gather_object


class SampleCountCheck(Callback):
    """Check after each epoch that every validation image was counted once.

    Shares among the ranks which images any of them could not read. Raises `UserError` on all ranks
    where these are too many.
    """

    def __init__(self, datamodule: ImageDataModule) -> None:
        self.datamodule = datamodule
        self._validated = False

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._validated = True

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        data = self.datamodule.data
        for split in (data.train, data.val):
            for unreadable in all_gather_object(split.unreadable):
                split.unreadable |= unreadable
        self.datamodule.check_unreadable(data.newly_unreadable())
        loader = self._validated and trainer.val_dataloaders
        if loader and trainer.num_val_batches == [len(loader)]:
            metrics = trainer.callback_metrics
            counted = int(metrics["val/samples"] + metrics["val/unreadable"])
            if counted != len(data.val):
                raise RuntimeError(
                    f"Validation counted {counted} images instead of each of {len(data.val)} once."
                )
        self._validated = False

    def state_dict(self) -> dict[str, Any]:
        data = self.datamodule.data
        return {"train": dict(data.train.unreadable), "val": dict(data.val.unreadable)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        data = self.datamodule.data
        data.train.unreadable |= state_dict["train"]
        data.val.unreadable |= state_dict["val"]
