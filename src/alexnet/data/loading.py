"""A data set ready for training or evaluation: from its pack, where there is one, or from its files."""

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass

from alexnet.config import DataConfig
from alexnet.data.dataset import ImageDataset, ImageFileDataset, PackedDataset
from alexnet.data.image_list import check_classes, fingerprint
from alexnet.data.imagenet import class_names
from alexnet.data.listing import cache_folder, list_images
from alexnet.data.locations import pack_folder, require_data
from alexnet.data.pack_reader import UNREADABLE, Pack, check_current, open_pack
from alexnet.data.scan import check_unreadable, scan_images
from alexnet.data.sources import ensure_downloaded
from alexnet.data.statistics import Statistics
from alexnet.errors import UserError

NO_IMAGE = "not an image by its name"


@dataclass(frozen=True)
class ImageData:
    """A data set ready for training: readable images only.

    `excluded` maps the path of every file set aside to the reason, `unreadable` of them because they
    did not decode; `origin` says in words where the images are read from.
    """

    classes: tuple[str, ...]
    train: ImageDataset
    val: ImageDataset
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
    images: ImageDataset
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
    require_data(config)
    folder = pack_folder(config)
    if folder.is_dir():
        pack = open_pack(folder)
        check_current(pack, asked_for=config.pack is not None)
        if (size := pack.statistics.mean.shape[-1]) != config.resize_size:
            raise UserError(f"{folder}: a pack of images of {size} pixels, not of {config.resize_size}.")
        packed = PackedDataset(pack.val)
        excluded = _of_split(pack.excluded, pack.val.names[pack.val.labels == UNREADABLE])
        origin = f"{pack.format.value} pack {folder}"
        count = len(pack.train.labels) + len(pack.val.labels)
        key = _names_hash(packed, pack.classes)
        return ValData(pack.classes, packed, excluded, len(excluded), count, key, origin)
    workers = os.cpu_count() or 1
    root = ensure_downloaded(config, workers)
    train, listed, _ = list_images(config, root)
    count = len(train) + len(listed)
    cache = cache_folder(config, "surveys")
    found = scan_images(listed, config.resize_size, cache, workers, "Reading the validation images")
    unreadable = {listed.path(row): reason for row, reason in found.unreadable.items()}
    check_unreadable(unreadable, count, config.max_unreadable, str(root))
    ignored = dict.fromkeys(listed.ignored, NO_IMAGE)
    files = ImageFileDataset(listed.without(found.unreadable))
    key = _names_hash(files, listed.classes)
    excluded = ignored | unreadable
    return ValData(listed.classes, files, excluded, len(unreadable), count, key, f"files in {root}")


def _of_split(excluded: dict[str, str], names: Iterable[bytes]) -> dict[str, str]:
    """Those of the files set aside that are among `names`."""
    paths = (name.decode(errors="backslashreplace") for name in names)
    return {path: excluded.get(path, "cannot be read") for path in paths}


def _names_hash(images: ImageDataset, classes: tuple[str, ...]) -> str:
    digest = hashlib.sha256()
    for index, label in enumerate(images.labels.tolist()):
        name = images.path(index).rpartition("/")[2]
        digest.update(f"{name}\0{classes[label]}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()[:16]


def load_image_data(config: DataConfig) -> ImageData:
    """The data set from its pack, where there is one, or from its files.

    Raises `UserError` for what the user has to mend.
    """
    require_data(config)
    folder = pack_folder(config)
    if folder.is_dir():
        pack = open_pack(folder)
        check_current(pack, asked_for=config.pack is not None)
        return _from_pack(pack)
    return _from_files(config)


def _from_pack(pack: Pack) -> ImageData:
    return ImageData(
        pack.classes,
        PackedDataset(pack.train),
        PackedDataset(pack.val),
        pack.statistics,
        pack.excluded,
        pack.unreadable,
        pack.fingerprint,
        f"{pack.format.value} pack {pack.folder}",
    )


def _from_files(config: DataConfig) -> ImageData:
    workers = os.cpu_count() or 1
    root = ensure_downloaded(config, workers)
    listing = list_images(config, root)
    lists = (listing.train, listing.val)
    cache = cache_folder(config, "surveys")
    surveys = [
        scan_images(images, config.resize_size, cache, workers, f"Reading the {name} images")
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
        ImageFileDataset(train),
        ImageFileDataset(val),
        surveys[0].statistics,
        ignored | unreadable,
        len(unreadable),
        fingerprint(train, val),
        f"files in {root}",
    )
