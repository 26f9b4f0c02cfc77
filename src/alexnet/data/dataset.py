"""A data set ready for training: from its files, or from a pack made of them."""

import hashlib
import os
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from alexnet.config import DataConfig
from alexnet.data.image import ImageError
from alexnet.data.image_list import ImageList, check_classes, fingerprint
from alexnet.data.imagenet import class_names
from alexnet.data.listing import cache_folder, list_images
from alexnet.data.pack import BAD, Pack, PackSplit, check_current, open_pack
from alexnet.data.places import check_there, pack_folder
from alexnet.data.sources import bring
from alexnet.data.statistics import Statistics
from alexnet.data.survey import survey
from alexnet.data.unreadable import check_unreadable
from alexnet.errors import UserError

NO_IMAGE = "not an image by its name"
UNREADABLE = -1  # label of an image that has stopped decoding since the survey; no loss, no error


class Images(ABC):
    """One split: squares and labels by index, from any number of threads.

    `labels` (images,); `unreadable` maps the path of each image that did not decode to the reason.
    """

    def __init__(self, labels: NDArray[np.int64]) -> None:
        self.labels = labels
        self.unreadable: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self.labels)

    def read(self, index: int, out: NDArray[np.uint8]) -> int:
        """Write a square into `out` (3, size, size) and return its label, or zeros and `UNREADABLE`."""
        try:
            self._read(index, out)
        except ImageError as error:
            self.unreadable[self.path(index)] = str(error)
            out[...] = 0
            return UNREADABLE
        return int(self.labels[index])

    @abstractmethod
    def path(self, index: int) -> str:
        """The file that an image is, or was packed from."""

    @abstractmethod
    def _read(self, index: int, out: NDArray[np.uint8]) -> None: ...


@dataclass(frozen=True)
class ImageData:
    """A data set ready for training: readable images only.

    `excluded` maps the path of every file set aside to the reason, `unreadable` of them because they
    did not decode; `origin` says in words where the images are read from.
    """

    classes: tuple[str, ...]
    train: Images
    val: Images
    statistics: Statistics
    excluded: dict[str, str]
    unreadable: int
    fingerprint: str
    origin: str

    @property
    def class_names(self) -> tuple[str, ...]:
        """What the classes are, where they are ImageNet's."""
        names = class_names()
        return tuple(names.get(name, name) for name in self.classes)

    def newly_unreadable(self) -> dict[str, str]:
        """Images that have stopped decoding since training began, and why."""
        return self.train.unreadable | self.val.unreadable


@dataclass(frozen=True)
class ValData:
    """The validation images by themselves: readable ones only.

    `excluded` maps the path of every file of theirs that was set aside to the reason, `unreadable` of them
    because they did not decode; `listed` is how many images the data set has in all, with those for training.
    `fingerprint` is a hash of every image's name and class, the same from files and from a pack.
    """

    classes: tuple[str, ...]
    images: Images
    excluded: dict[str, str]
    unreadable: int
    listed: int
    fingerprint: str
    origin: str


def load_val_data(config: DataConfig) -> ValData:
    """The validation images from the pack, where there is one, or from their files.

    Of the training images, whose classes they have, only the list is made: decoding a million of them for
    their statistics would take hours. Raises `UserError` for what the user has to mend.
    """
    check_there(config)
    folder = pack_folder(config)
    if folder.is_dir():
        pack = open_pack(folder)
        check_current(pack, asked_for=config.pack is not None)
        if (size := pack.statistics.mean.shape[-1]) != config.stored_size:
            raise UserError(f"{folder}: a pack of images of {size} pixels, not of {config.stored_size}.")
        packed = PackedImages(pack.val)
        excluded = _of_split(pack.excluded, pack.val.names[pack.val.labels == BAD])
        origin = f"{pack.format.value} pack {folder}"
        count = len(pack.train.labels) + len(pack.val.labels)
        key = _names_hash(packed, pack.classes)
        return ValData(pack.classes, packed, excluded, len(excluded), count, key, origin)
    workers = os.cpu_count() or 1
    root = bring(config, workers)
    train, listed, _ = list_images(config, root)
    count = len(train) + len(listed)
    cache = cache_folder(config, "surveys")
    found = survey(listed, config.stored_size, cache, workers, "Reading the validation images")
    unreadable = {listed.path(row): reason for row, reason in found.unreadable.items()}
    check_unreadable(unreadable, count, config.max_unreadable, str(root))
    ignored = dict.fromkeys(listed.ignored, NO_IMAGE)
    files = ImageFiles(listed.without(found.unreadable))
    key = _names_hash(files, listed.classes)
    excluded = ignored | unreadable
    return ValData(listed.classes, files, excluded, len(unreadable), count, key, f"files in {root}")


def _of_split(excluded: dict[str, str], names: Iterable[bytes]) -> dict[str, str]:
    """Those of the files set aside that are among `names`."""
    paths = (name.decode(errors="backslashreplace") for name in names)
    return {path: excluded.get(path, "cannot be read") for path in paths}


def _names_hash(images: Images, classes: tuple[str, ...]) -> str:
    digest = hashlib.sha256()
    for index, label in enumerate(images.labels.tolist()):
        name = images.path(index).rpartition("/")[2]
        digest.update(f"{name}\0{classes[label]}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()[:16]


def load_image_data(config: DataConfig) -> ImageData:
    """The data set from its pack, where there is one, or from its files.

    Raises `UserError` for what the user has to mend.
    """
    check_there(config)
    folder = pack_folder(config)
    if folder.is_dir():
        pack = open_pack(folder)
        check_current(pack, asked_for=config.pack is not None)
        return _from_pack(pack)
    return _from_files(config)


def _from_pack(pack: Pack) -> ImageData:
    return ImageData(
        pack.classes,
        PackedImages(pack.train),
        PackedImages(pack.val),
        pack.statistics,
        pack.excluded,
        pack.unreadable,
        pack.fingerprint,
        f"{pack.format.value} pack {pack.folder}",
    )


def _from_files(config: DataConfig) -> ImageData:
    workers = os.cpu_count() or 1
    root = bring(config, workers)
    listing = list_images(config, root)
    lists = (listing.train, listing.val)
    cache = cache_folder(config, "surveys")
    surveys = [
        survey(images, config.stored_size, cache, workers, f"Reading the {name} images")
        for name, images in zip(("training", "validation"), lists, strict=True)
    ]
    unreadable = {
        images.path(row): reason
        for images, found in zip(lists, surveys, strict=True)
        for row, reason in found.unreadable.items()
    }
    reasons = cache / f"{listing.train.key()}.unreadable.csv"
    check_unreadable(unreadable, sum(map(len, lists)), config.max_unreadable, str(root), names=reasons)
    ignored = {path: NO_IMAGE for images in lists for path in images.ignored}
    train, val = (images.without(found.unreadable) for images, found in zip(lists, surveys, strict=True))
    check_classes(train)
    return ImageData(
        train.classes,
        ImageFiles(train),
        ImageFiles(val),
        surveys[0].statistics,
        ignored | unreadable,
        len(unreadable),
        fingerprint(train, val),
        f"files in {root}",
    )


class ImageFiles(Images):
    """Squares decoded from image files."""

    def __init__(self, images: ImageList) -> None:
        super().__init__(images.labels)
        self.images = images

    def path(self, index: int) -> str:
        return self.images.path(index)

    def _read(self, index: int, out: NDArray[np.uint8]) -> None:
        out[...] = self.images.square(index, out.shape[-1])


class PackedImages(Images):
    """Squares read from a pack."""

    def __init__(self, split: PackSplit) -> None:
        super().__init__(split.labels[split.rows])
        self.split = split
        self._descriptor = split.open()

    def __del__(self) -> None:
        os.close(self._descriptor)

    def path(self, index: int) -> str:
        return self.split.names[self.split.rows[index]].decode(errors="backslashreplace")

    def _read(self, index: int, out: NDArray[np.uint8]) -> None:
        self.split.read(self._descriptor, int(self.split.rows[index]), out)
