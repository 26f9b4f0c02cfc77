"""Images on which an exported network is compared with the network itself."""

import os
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from alexnet import cli
from alexnet.config import DataConfig
from alexnet.data.dataset import UNREADABLE, ImageFiles, Images, PackedImages
from alexnet.data.listing import list_images
from alexnet.data.pack import open_pack
from alexnet.data.places import check_there, pack_folder
from alexnet.data.sources import bring, missing_download
from alexnet.errors import UserError
from alexnet.run.trained import Trained

NOISE = 60.0  # standard deviation of random pixels around the mean image, as far as photographs' spread


class Sample(NamedTuple):
    """uint8 `squares` (N, 3, S, S), and in words what they are."""

    squares: Tensor
    origin: str


def draw_sample(trained: Trained, count: int) -> Sample:
    """Validation images of the run where its data is there, noise around the mean image elsewhere; always
    the same.
    """
    try:
        return _validation_images(trained, count)
    except (UserError, OSError) as error:
        reason = str(error).rstrip(".")
        return Sample(_random_squares(trained, count), f"{count} random images ({reason})")


def _validation_images(trained: Trained, count: int) -> Sample:
    config = cli.read_saved(trained.config["data"], DataConfig, trained.checkpoint)
    images = _open(config)
    squares: list[Tensor] = []
    for index in np.random.default_rng(0).permutation(len(images)):
        square = np.empty((3, trained.stored_size, trained.stored_size), np.uint8)
        if images.read(int(index), square) != UNREADABLE:
            squares.append(torch.from_numpy(square))
        if len(squares) == count:
            return Sample(torch.stack(squares), f"{count} validation images of {config.name}")
    raise UserError(f"of {len(images)} validation images {len(squares)} can be read.")


def _open(config: DataConfig) -> Images:
    """The validation images. Fetches none: raises `UserError` where there are none."""
    check_there(config)
    if (folder := pack_folder(config)).is_dir():
        return PackedImages(open_pack(folder).val)
    if missing_download(config) is not None:
        raise UserError(f"data.root={config.root}: {config.name} is not there.")
    return ImageFiles(list_images(config, bring(config, os.cpu_count() or 1)).val)


def _random_squares(trained: Trained, count: int) -> Tensor:
    before = trained.crops.slack // 2
    after = trained.crops.slack - before
    mean = functional.pad(trained.crops.mean.float(), (before, after, before, after), mode="replicate")
    noise = torch.randn(count, *mean.shape, generator=torch.Generator().manual_seed(0))
    return (mean + NOISE * noise).round().clamp(0, 255).byte()
