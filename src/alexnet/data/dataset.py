"""A data set ready for training: from its files, or from a pack made of them."""

import os
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import Dataset

from alexnet.config import DataConfig
from alexnet.data.image import ImageError, read_image, why_unreadable
from alexnet.data.listing import ImageList, check_classes, fingerprint, list_splits
from alexnet.data.pack import Pack, PackSplit, check_there, open_pack, pack_folder
from alexnet.data.sources import bring
from alexnet.data.statistics import Statistics
from alexnet.data.survey import survey

UNREADABLE = -1  # label of a file that has stopped decoding since the survey; no loss, no error

Sample = tuple[Tensor, int, int]  # uint8 square (3, size, size), label, index


class Images(Dataset[Sample], ABC):
    """One split: samples by index."""

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def __getitem__(self, index: int) -> Sample: ...

    @abstractmethod
    def why_unreadable(self, index: int) -> tuple[str, str]:
        """Path and reason of an image that came with the label `UNREADABLE`."""


@dataclass(frozen=True)
class ImageData:
    """A data set ready for training: readable images only.

    `excluded` maps the path of every file set aside to the reason; `origin` says in words where
    the images are read from.
    """

    classes: tuple[str, ...]
    train: Images
    val: Images
    statistics: Statistics
    excluded: dict[str, str]
    fingerprint: str
    origin: str


def load_image_data(config: DataConfig) -> ImageData:
    """The data set from its pack, where there is one, or from its files.

    Raises `UserError` for what the user has to mend.
    """
    check_there(config)
    folder = pack_folder(config)
    if folder.is_dir():
        return _from_pack(open_pack(folder))
    return _from_files(config)


def _from_pack(pack: Pack) -> ImageData:
    return ImageData(
        pack.classes,
        PackedImages(pack.train),
        PackedImages(pack.val),
        pack.statistics,
        pack.excluded,
        pack.fingerprint,
        f"pack {pack.folder}",
    )


def _from_files(config: DataConfig) -> ImageData:
    workers = os.cpu_count() or 1
    root = bring(config, workers)
    cache = Path(config.cache).expanduser()
    lists = list_splits(root, config.val_fraction)
    surveys = [
        survey(images, config.stored_size, cache, workers, f"Reading the {name} images")
        for name, images in zip(("training", "validation"), lists, strict=True)
    ]
    excluded: dict[str, str] = {}
    for images, found in zip(lists, surveys, strict=True):
        excluded |= dict.fromkeys(images.ignored, "not an image by its name") | found.excluded
    train, val = (images.without(set(excluded)) for images in lists)
    check_classes(train)
    return ImageData(
        train.classes,
        ImageFiles(train, config.stored_size),
        ImageFiles(val, config.stored_size),
        surveys[0].statistics,
        excluded,
        fingerprint(train, val),
        f"files in {root}",
    )


class ImageFiles(Images):
    """Samples decoded from image files."""

    def __init__(self, images: ImageList, size: int) -> None:
        self.images, self.size = images, size

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Sample:
        try:
            square = read_image(self.images.root / self.images.paths[index], self.size)
        except ImageError:
            return torch.zeros(3, self.size, self.size, dtype=torch.uint8), UNREADABLE, index
        return torch.from_numpy(square), self.images.labels[index], index

    def why_unreadable(self, index: int) -> tuple[str, str]:
        path = self.images.paths[index]
        return path, why_unreadable(self.images.root / path, self.size)


class PackedImages(Images):
    """Samples copied from a memory-mapped pack."""

    def __init__(self, split: PackSplit) -> None:
        self.split = split

    def __len__(self) -> int:
        return len(self.split.rows)

    def __getitem__(self, index: int) -> Sample:
        row = self.split.rows[index]
        return torch.from_numpy(self.split.images[row].copy()), int(self.split.labels[row]), index

    def why_unreadable(self, index: int) -> tuple[str, str]:
        return f"image {self.split.rows[index]} of the pack", "cannot be: packs hold readable images only"
