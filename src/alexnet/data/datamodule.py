"""The Lightning data module: uint8 images read by threads, augmented in batches on the device."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from lightning import LightningDataModule
from torch import Tensor

from alexnet.config import DataConfig, ValCrops
from alexnet.data.augmentation import Augmentation
from alexnet.data.augmentation_params import AugmentationParams
from alexnet.data.dataset import ImageDataset
from alexnet.data.image import UNREADABLE
from alexnet.data.loader import Batch, BatchLoader, move_to_device
from alexnet.data.loading import ImageData
from alexnet.data.resident import ResidentImages
from alexnet.data.sampling import GlobalBatchSampler
from alexnet.data.scan import check_unreadable
from alexnet.data.statistics import color_axes, mean_image
from alexnet.distributed.collectives import data_parallel_group
from alexnet.errors import UserError

# the dtype to which autocast would cast the first layer's input: casting here saves a pass over memory
MIXED = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}


def check_crop(crop: int, resize_size: int) -> None:
    """Raise `UserError` if the network's input is larger than the stored images."""
    if crop > resize_size:
        raise UserError(f"model.image_size={crop}: larger than data.resize_size={resize_size}.")


class ImageDataModule(LightningDataModule):
    """Global batches of augmented images.

    `config.batch_size` is that of all devices together. A batch is (images (N, 3, crop, crop) float, labels
    (N,), dropout_seeds (N,)), and `MixedLabels` where images are mixed; in validation there are no
    dropout_seeds, and with ten crops the images are (N, 10, 3, crop, crop). Images with the label
    `UNREADABLE` are excluded from the loss and the errors.
    """

    def __init__(self, data: ImageData, config: DataConfig, *, crop: int, seed: int, workers: int) -> None:
        super().__init__()
        check_crop(crop, config.resize_size)
        self.data, self.config, self.seed, self.workers = data, config, seed, workers
        self._residents: dict[str, ResidentImages] = {}
        self.augmentation = Augmentation(
            config.augment,
            crop,
            mean_image(data.statistics, config.mean),
            color_axes(data.statistics, config.augment.color_scale),
        )

    def train_dataloader(self) -> BatchLoader:
        mixing = self.augmentation.mixing is not None
        return self._loader(self.data.train, self.seed, self._position, successors=mixing)

    def val_dataloader(self) -> BatchLoader:
        # always the same shuffled order, so that any number of batches is a fair sample
        return self._loader(self.data.val, 0, lambda: (0, 0))

    def _loader(
        self,
        dataset: ImageDataset,
        seed: int,
        position: Callable[[], tuple[int, int]],
        *,
        successors: bool = False,
    ) -> BatchLoader:
        assert self.trainer is not None
        group = data_parallel_group(self.trainer)
        batches = GlobalBatchSampler(
            len(dataset),
            self.config.batch_size,
            rank=group.rank,
            ranks=group.count,
            seed=seed,
            successors=successors,
        )
        device = self.trainer.strategy.root_device
        return BatchLoader(
            dataset,
            batches,
            size=self.config.resize_size,
            workers=self.workers,
            position=position,
            device=device,
            gather=self._resident(dataset, device).batch if self.config.resident else None,
        )

    def _resident(self, dataset: ImageDataset, device: torch.device) -> ResidentImages:
        """Return the images of a split on the device, to which they are copied once."""
        split = "training" if dataset is self.data.train else "validation"
        if split not in self._residents:
            description = f"Loading the {split} images"
            self._residents[split] = ResidentImages(dataset, self.config.resize_size, device, description)
        return self._residents[split]

    def _position(self) -> tuple[int, int]:
        """Return the epoch, and how many of its batches were trained on before the run was stopped."""
        assert self.trainer is not None
        return self._epoch(), self.trainer.fit_loop.epoch_loop.batch_progress.current.ready

    def _epoch(self) -> int:
        assert self.trainer is not None
        return self.trainer.current_epoch

    def on_before_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Any:
        """Look up the augmentation parameters. Raises `UserError` for too many unreadable images."""
        assert self.trainer is not None
        # one of several ranks must not stop alone: SampleCountCheck stops all of them after the epoch
        if self.trainer.world_size == 1 and (batch.labels == UNREADABLE).any():
            self.check_unreadable(self.data.newly_unreadable())
        params = self._params(batch.indices) if self.trainer.training else None
        return batch.images, batch.labels, params

    def check_unreadable(self, unreadable: dict[str, str]) -> None:
        """Raise `UserError` if these and the images set aside earlier are too many."""
        earlier = self.data.unreadable
        images = len(self.data.train) + len(self.data.val) + earlier
        origin = f"Data from {self.data.origin}"
        check_unreadable(unreadable, images, self.config.max_unreadable, origin, earlier=earlier)

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        images, labels, params = batch
        return move_to_device(images, device), move_to_device(labels, device), params

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> tuple[Any, ...]:
        assert self.trainer is not None
        images, labels, params = batch
        if params is None:
            return self._val_crops(images), labels
        dropout_seeds = move_to_device(torch.from_numpy(params.dropout_seeds.astype(np.int64)), images.device)
        dtype, mixing = self._input_dtype(), self.augmentation.mixing
        if mixing is None:
            return self.augmentation.random(images, params, self._epoch(), dtype), labels, dropout_seeds
        exact = torch.promote_types(dtype, torch.float32)  # rounded once, after they are mixed
        inputs = self.augmentation.random(images, params, self._epoch(), exact)
        inputs, mixed = mixing(inputs, labels, params)
        return inputs.to(dtype), labels[:-1], dropout_seeds[:-1], mixed

    def train_eval_batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield this rank's share of the training images, cropped as in validation, and their labels."""
        assert self.trainer is not None
        device = self.trainer.strategy.root_device
        for batch in self._loader(self.data.train, 0, lambda: (0, 0)):
            images, labels = (move_to_device(part, device) for part in (batch.images, batch.labels))
            yield self._val_crops(images), labels

    def _val_crops(self, images: Tensor) -> Tensor:
        ten = self.config.val_crops is ValCrops.ten
        crops = self.augmentation.ten if ten else self.augmentation.center
        return crops(images, self._input_dtype())

    def _input_dtype(self) -> torch.dtype:
        assert self.trainer is not None
        weights = next(self.trainer.lightning_module.parameters()).dtype
        return MIXED.get(str(self.trainer.precision), weights)

    def _params(self, indices: np.ndarray) -> AugmentationParams:
        return self.augmentation.params(self.seed, self._epoch(), len(self.data.train)).of(indices)

    def state_dict(self) -> dict[str, Any]:
        """Return what prediction needs besides the weights: the classes and the mean."""
        classes = {"classes": list(self.data.classes), "class_names": list(self.data.class_names)}
        return classes | {"mean": self.augmentation.mean.clone()}
