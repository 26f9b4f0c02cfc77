"""Images for Lightning: uint8 squares from the workers, augmented in batches on the device."""

from typing import Any

import numpy as np
import torch
from lightning import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader

from alexnet.config import DataConfig
from alexnet.data.augmentation import Augmentation, color_axes, mean_image
from alexnet.data.dataset import UNREADABLE, ImageData
from alexnet.data.order import Draws, GlobalBatches, epoch_draws
from alexnet.errors import UserError


class ImageDataModule(LightningDataModule):
    """Global batches of augmented images.

    `batch_size` is that of all devices together. A batch arrives as (images (N, 3, crop, crop)
    float, labels (N,)); a label `UNREADABLE` counts neither in loss nor in error.
    """

    def __init__(self, data: ImageData, config: DataConfig, *, crop: int, seed: int, workers: int) -> None:
        super().__init__()
        if crop > config.stored_size:
            raise UserError(f"model.image_size={crop}: larger than data.stored_size={config.stored_size}.")
        self.data, self.config, self.seed, self.workers = data, config, seed, workers
        self.augmentation = Augmentation(
            config.augment,
            crop,
            mean_image(data.statistics, config.mean),
            color_axes(data.statistics, config.augment.color_scale),
        )
        self.unreadable: dict[str, str] = {}

    def train_dataloader(self) -> DataLoader[Any]:
        return self._loader(training=True)

    def val_dataloader(self) -> DataLoader[Any]:
        return self._loader(training=False)

    def _loader(self, training: bool) -> DataLoader[Any]:
        assert self.trainer is not None
        images = self.data.train if training else self.data.val
        batches = GlobalBatches(
            len(images),
            self.config.batch_size,
            rank=self.trainer.global_rank,
            ranks=self.trainer.world_size,
            # validation: always the same mixed order, of which any number of batches is a fair sample
            seed=self.seed if training else 0,
            epoch=self._epoch if training else lambda: 0,
        )
        return DataLoader(
            images,
            batch_sampler=batches,
            num_workers=self.workers,
            persistent_workers=self.workers > 0,
            generator=torch.Generator(),  # or each new iterator would draw from that of the dropout masks
            pin_memory=self.trainer.strategy.root_device.type == "cuda",
        )

    def _epoch(self) -> int:
        assert self.trainer is not None
        return self.trainer.current_epoch

    def on_before_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Note the files that have stopped decoding, and look up the draws while still on the CPU."""
        assert self.trainer is not None
        images, labels, indices = batch
        training = bool(self.trainer.training)
        split = self.data.train if training else self.data.val
        for index in indices[labels == UNREADABLE].tolist():
            path, reason = split.why_unreadable(index)
            self.unreadable[path] = reason
        draws = self._draws(indices.numpy()) if training else None
        return images, labels, draws

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        images, labels, draws = batch
        overlap = device.type == "cuda"
        return images.to(device, non_blocking=overlap), labels.to(device, non_blocking=overlap), draws

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> tuple[Tensor, Tensor]:
        assert self.trainer is not None
        images, labels, draws = batch
        wanted = next(self.trainer.lightning_module.parameters()).dtype
        exact = torch.promote_types(wanted, torch.float32)  # 0-255 less a mean needs more than 8 bits
        if draws is None:
            return self.augmentation.center(images, exact).to(wanted), labels
        return self.augmentation.random(images, draws, self._epoch(), exact).to(wanted), labels

    def _draws(self, indices: np.ndarray) -> Draws:
        draws = epoch_draws(self.seed, self._epoch(), len(self.data.train), self.config.augment.chunk)
        return Draws(*(table[indices] for table in draws))

    def state_dict(self) -> dict[str, Any]:
        """What prediction needs beside the weights."""
        return {"classes": list(self.data.classes), "mean": self.augmentation.mean.clone()}
