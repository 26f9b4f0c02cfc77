"""Comparison of an exported network's logits with those of the original."""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from alexnet.config import DataConfig
from alexnet.config.reading import read_saved
from alexnet.data.image import UNREADABLE
from alexnet.data.loading import open_data
from alexnet.errors import UserError
from alexnet.runs.trained_model import TrainedModel

NOISE = 60.0  # standard deviation of random pixels around the mean image, about that of photographs


class Sample(NamedTuple):
    """Images (N, 3, S, S) uint8, and a description of their origin."""

    images: Tensor
    origin: str


def draw_sample(trained: TrainedModel, count: int) -> Sample:
    """Draw `count` images, always the same: validation images of the run, or, without its data, noise."""
    try:
        return _validation_images(trained, count)
    except (UserError, OSError) as error:
        reason = str(error).rstrip(".")
        return Sample(_random_images(trained, count), f"{count} random images ({reason})")


def _validation_images(trained: TrainedModel, count: int) -> Sample:
    config = read_saved(trained.config["data"], DataConfig, trained.checkpoint)
    data = open_data(config, ("val",), scan=False, download=False).val
    images: list[Tensor] = []
    for index in np.random.default_rng(0).permutation(len(data)):
        image = np.empty((3, trained.resize_size, trained.resize_size), np.uint8)
        if data.read(int(index), image) != UNREADABLE:
            images.append(torch.from_numpy(image))
        if len(images) == count:
            return Sample(torch.stack(images), f"{count} validation images of {config.name}")
    raise UserError(f"only {len(images)} of {len(data)} validation images can be read.")


def _random_images(trained: TrainedModel, count: int) -> Tensor:
    """Return noise around the mean image, which is extended to the size before cropping."""
    before = trained.crops.margin // 2
    after = trained.crops.margin - before
    mean = functional.pad(trained.crops.mean.float(), (before, after, before, after), mode="replicate")
    noise = torch.randn(count, *mean.shape, generator=torch.Generator().manual_seed(0))
    return (mean + NOISE * noise).round().clamp(0, 255).byte()


ExportedNetwork = Callable[[Tensor], Tensor]  # float32 crops (N, 3, size, size), RGB 0-255, to logits

BATCH_SIZES = (1, 3, 8)  # one image, and numbers that no graph was captured with
SAMPLE_SIZE = sum(BATCH_SIZES)


class LogitsCheck:
    """The original network's logits for `SAMPLE_SIZE` images, to compare those of exported networks with.

    Raises `UserError` where they are not finite.
    """

    def __init__(self, trained: TrainedModel, sample: Sample) -> None:
        self.origin = sample.origin
        border, size = trained.crops.margin // 2, trained.crops.size
        self._crops = sample.images[..., border : border + size, border : border + size].float()
        with torch.inference_mode():
            self._logits = trained.network(trained.crops.center(sample.images))
        if not self._logits.isfinite().all():
            raise UserError(f"{trained.checkpoint}: this network's outputs are not finite numbers.")

    def difference(self, network: ExportedNetwork) -> float:
        """Return the largest difference of a logit over batches of `BATCH_SIZES`, in standard deviations.

        The standard deviation is that of all logits of the original. Logits of another shape are infinitely
        different.
        """
        with torch.inference_mode():
            logits = torch.cat([network(crops) for crops in self._crops.split(BATCH_SIZES)])
        if logits.shape != self._logits.shape:
            return math.inf
        spread = self._logits.std().clamp_min(torch.finfo(torch.float32).tiny)
        return ((logits - self._logits).abs().max() / spread).item()
