"""Whether an exported network gives the logits of the original."""

import math
import os
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from alexnet.config import DataConfig
from alexnet.config.reading import read_saved
from alexnet.data.dataset import UNREADABLE, ImageDataset, ImageFileDataset, PackedDataset
from alexnet.data.listing import list_images
from alexnet.data.locations import pack_folder, require_data
from alexnet.data.pack_reader import open_pack
from alexnet.data.sources import ensure_downloaded, missing_download
from alexnet.errors import UserError
from alexnet.runs.trained_model import TrainedModel

NOISE = 60.0  # standard deviation of random pixels around the mean image, as far as photographs' spread


class Sample(NamedTuple):
    """uint8 `squares` (N, 3, S, S), and in words what they are."""

    squares: Tensor
    origin: str


def draw_sample(trained: TrainedModel, count: int) -> Sample:
    """Validation images of the run where its data is there, noise around the mean image elsewhere; always
    the same.
    """
    try:
        return _validation_images(trained, count)
    except (UserError, OSError) as error:
        reason = str(error).rstrip(".")
        return Sample(_random_squares(trained, count), f"{count} random images ({reason})")


def _validation_images(trained: TrainedModel, count: int) -> Sample:
    config = read_saved(trained.config["data"], DataConfig, trained.checkpoint)
    images = _open(config)
    squares: list[Tensor] = []
    for index in np.random.default_rng(0).permutation(len(images)):
        square = np.empty((3, trained.resize_size, trained.resize_size), np.uint8)
        if images.read(int(index), square) != UNREADABLE:
            squares.append(torch.from_numpy(square))
        if len(squares) == count:
            return Sample(torch.stack(squares), f"{count} validation images of {config.name}")
    raise UserError(f"of {len(images)} validation images {len(squares)} can be read.")


def _open(config: DataConfig) -> ImageDataset:
    """The validation images. Fetches none: raises `UserError` where there are none."""
    require_data(config)
    if (folder := pack_folder(config)).is_dir():
        return PackedDataset(open_pack(folder).val)
    if missing_download(config) is not None:
        raise UserError(f"data.root={config.root}: {config.name} is not there.")
    return ImageFileDataset(list_images(config, ensure_downloaded(config, os.cpu_count() or 1)).val)


def _random_squares(trained: TrainedModel, count: int) -> Tensor:
    before = trained.crops.margin // 2
    after = trained.crops.margin - before
    mean = functional.pad(trained.crops.mean.float(), (before, after, before, after), mode="replicate")
    noise = torch.randn(count, *mean.shape, generator=torch.Generator().manual_seed(0))
    return (mean + NOISE * noise).round().clamp(0, 255).byte()


ExportedNetwork = Callable[[Tensor], Tensor]  # an exported network: float32 crops, RGB 0-255, to logits

BATCHES = (1, 3, 8)  # one image, and numbers that no graph was captured with
IMAGES = sum(BATCHES)


class LogitsCheck:
    """The network's own logits for `IMAGES` images, to compare others with."""

    def __init__(self, trained: TrainedModel, sample: Sample) -> None:
        """Raises `UserError` where there is nothing to compare with: the logits are no finite numbers."""
        self.origin = sample.origin
        border, size = trained.crops.margin // 2, trained.crops.size
        self._crops = sample.squares[..., border : border + size, border : border + size].float()
        with torch.inference_mode():
            self._logits = trained.network(trained.crops.center(sample.squares))
        if not self._logits.isfinite().all():
            raise UserError(f"{trained.checkpoint}: this network's outputs are no finite numbers.")

    def difference(self, run: ExportedNetwork) -> float:
        """The largest there is, in standard deviations of all logits. Each batch has another size."""
        with torch.inference_mode():
            theirs = torch.cat([run(crops) for crops in self._crops.split(BATCHES)])
        if theirs.shape != self._logits.shape:
            return math.inf
        spread = self._logits.std().clamp_min(torch.finfo(torch.float32).tiny)
        return ((theirs - self._logits).abs().max() / spread).item()
