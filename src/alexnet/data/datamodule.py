"""Images for Lightning: uint8 squares from the workers, augmented in batches on the device."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from alexnet.config import DataConfig
from alexnet.data.augmentation import Augmentation, color_axes, mean_image
from alexnet.data.image import ImageError, read_image
from alexnet.data.listing import ImageList, check_classes, fingerprint, list_splits
from alexnet.data.order import Draws, GlobalBatches, epoch_draws
from alexnet.data.sources import bring
from alexnet.data.survey import Survey, survey
from alexnet.errors import UserError

UNREADABLE = -1  # label of a file that has stopped decoding since the survey; no loss, no error


@dataclass(frozen=True)
class ImageData:
    """A data set ready for training: readable images only.

    `excluded` maps the path of every file set aside to the reason.
    """

    train: ImageList
    val: ImageList
    survey: Survey
    excluded: dict[str, str]
    fingerprint: str


def load_image_data(config: DataConfig, workers: int | None = None) -> ImageData:
    """Bring, list and survey a data set. Raises `UserError` for what the user has to mend."""
    workers = workers or os.cpu_count() or 1
    root = bring(config, workers)
    cache = Path(config.cache).expanduser()
    excluded: dict[str, str] = {}
    kept: list[ImageList] = []
    surveys: list[Survey] = []
    for name, images in zip(("training", "validation"), list_splits(root, config.val_fraction), strict=True):
        found = survey(images, config.stored_size, cache, workers, f"Reading the {name} images")
        excluded |= dict.fromkeys(images.ignored, "not an image by its name") | found.excluded
        surveys.append(found)
        kept.append(images.without(set(found.excluded)))
    train, val = kept
    check_classes(train)
    return ImageData(train, val, surveys[0], excluded, fingerprint(train, val))


class ImageDataset(Dataset[tuple[Tensor, int, int]]):
    """(uint8 square (3, size, size), label, index) of each image of a list."""

    def __init__(self, images: ImageList, size: int) -> None:
        self.images, self.size = images, size

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, int, int]:
        try:
            square = read_image(self.images.root / self.images.paths[index], self.size)
        except ImageError:
            return torch.zeros(3, self.size, self.size, dtype=torch.uint8), UNREADABLE, index
        return torch.from_numpy(square), self.images.labels[index], index

    def why_unreadable(self, index: int) -> tuple[str, str]:
        """Path and reason of an image that came with the label `UNREADABLE`."""
        path = self.images.paths[index]
        try:
            read_image(self.images.root / path, self.size)
        except ImageError as error:
            return path, str(error)
        return path, "could not be read at one time"


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
        self.datasets = {
            True: ImageDataset(data.train, config.stored_size),
            False: ImageDataset(data.val, config.stored_size),
        }
        self.augmentation = Augmentation(
            config.augment,
            crop,
            mean_image(data.survey, config.mean),
            color_axes(data.survey, config.augment.color_scale),
        )
        self.unreadable: dict[str, str] = {}

    def train_dataloader(self) -> DataLoader[Any]:
        return self._loader(training=True)

    def val_dataloader(self) -> DataLoader[Any]:
        return self._loader(training=False)

    def _loader(self, training: bool) -> DataLoader[Any]:
        assert self.trainer is not None
        dataset = self.datasets[training]
        batches = GlobalBatches(
            len(dataset),
            self.config.batch_size,
            rank=self.trainer.global_rank,
            ranks=self.trainer.world_size,
            # validation: always the same mixed order, of which any number of batches is a fair sample
            seed=self.seed if training else 0,
            epoch=self._epoch if training else lambda: 0,
        )
        return DataLoader(
            dataset,
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
        for index in indices[labels == UNREADABLE].tolist():
            path, reason = self.datasets[training].why_unreadable(index)
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
        return {"classes": list(self.data.train.classes), "mean": self.augmentation.mean.clone()}
