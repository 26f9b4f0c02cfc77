"""Open the configured data set, from its pack if there is one, else from its files."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from alexnet.config import DataConfig
from alexnet.data.dataset import ImageDataset, ImageFileDataset, PackedDataset, hold_out, names_hash
from alexnet.data.fetching import ensure_fetched, missing_download
from alexnet.data.image import UNREADABLE
from alexnet.data.image_list import ImageList, check_classes, fingerprint
from alexnet.data.imagenet_classes import class_names
from alexnet.data.in_memory import InMemoryDataset
from alexnet.data.listing import SPLITS, cache_folder, list_images
from alexnet.data.locations import pack_folder, require_data
from alexnet.data.pack_reader import Pack, check_current, open_pack
from alexnet.data.scan import (
    DECODING_VERSION,
    DatasetScan,
    cached_scan,
    check_unreadable,
    report_damaged,
    scan_images,
)
from alexnet.data.statistics import Statistics
from alexnet.errors import UserError
from alexnet.files import reasons_csv, write_text

SCAN_CACHE, DECODED = "scans", "decoded"  # folders of the data cache
ADJECTIVES = {"train": "training", "val": "validation"}


@dataclass(frozen=True)
class OpenData:
    """An open data set; images known to be unreadable are left out of `train` and `val`.

    `origin` describes where the images are read from; `listed` counts all of them, readable or not. For the
    requested splits, `excluded` maps the path of every file set aside to the reason, and `unreadable` counts
    those of them that did not decode, None if a split has not been scanned yet. `statistics` are those of the
    training images, None if they have not been scanned. `fingerprint` computes a hash of all readable images.
    `split_key` hashes where and when a split's images were stored: it changes with every file. `val_source`
    says where the validation images come from. `damaged` maps the paths of images that decode although their
    files are damaged, and are not set aside, to the damage.
    """

    classes: tuple[str, ...]
    train: ImageDataset
    val: ImageDataset
    origin: str
    listed: int
    excluded: dict[str, str]
    unreadable: int | None
    statistics: Statistics | None
    fingerprint: Callable[[], str]
    split_key: Callable[[str], str]
    val_source: str
    damaged: dict[str, str]

    def __len__(self) -> int:
        return len(self.train) + len(self.val)


def open_data(
    config: DataConfig,
    splits: Sequence[str] = SPLITS,
    *,
    scan: bool = True,
    download: bool = True,
    whole: bool = False,
) -> OpenData:
    """Open a data set, from its pack if there is one, else from its files.

    The files of `splits` are decoded once, to find the unreadable ones; with `scan=False` only the result of
    an earlier scan is used. The other split is listed, but not scanned. With `download=False` nothing is
    downloaded. With `whole` all images are validation images if there is no folder of these (`list_whole`).
    Raises `UserError` for what the user has to correct, a missing download included.
    """
    require_data(config)
    folder = pack_folder(config)
    if folder.is_dir():
        pack = open_pack(folder)
        if not whole or config.pack is not None or not pack.held_out:
            return _open_pack(config, pack, splits)
    if not download and missing_download(config) is not None:
        raise UserError(f"data.root={config.root}: {config.name} is not there.")
    return _open_files(config, splits, scan, whole)


def _open_pack(config: DataConfig, pack: Pack, splits: Sequence[str]) -> OpenData:
    folder = pack.folder
    check_current(pack, asked_for=config.pack is not None)
    if (size := pack.statistics.mean.shape[-1]) != config.resize_size:
        raise UserError(f"{folder}: a pack of images of {size} pixels, not {config.resize_size}.")
    unreadable: list[str] = []
    for name in splits:
        split = pack.train if name == "train" else pack.val
        unreadable += [split.path(int(row)) for row in np.flatnonzero(split.labels == UNREADABLE)]
    excluded = pack.excluded
    if set(splits) != set(SPLITS):  # it does not record the split of an ignored file
        excluded = {path: excluded.get(path, "cannot be read") for path in unreadable}
    elif pack.damaged:
        report_damaged(pack.damaged, folder / "manifest.json")
    return OpenData(
        pack.classes,
        PackedDataset(pack.train),
        PackedDataset(pack.val),
        f"{pack.format.value} pack {folder}",
        len(pack.train.labels) + len(pack.val.labels),
        excluded,
        len(unreadable),
        pack.statistics,
        lambda: pack.fingerprint,
        pack.split_key,
        pack.val_source,
        pack.damaged,
    )


def _open_files(config: DataConfig, splits: Sequence[str], scan: bool, whole: bool) -> OpenData:
    root = ensure_fetched(config, os.cpu_count() or 1)
    listing = list_images(config, root, whole=whole)
    readable = {"train": listing.train, "val": listing.val}
    cache = cache_folder(config, SCAN_CACHE)
    scans: dict[str, DatasetScan] = {}
    ignored: dict[str, str] = {}
    unreadable: dict[str, str] = {}
    damaged: dict[str, str] = {}
    for name in splits:
        images = readable[name]
        ignored |= images.ignored
        if (result := _scan(config, name, images, cache, scan)) is not None:
            scans[name] = result
            aside = result.unreadable | (result.damaged if config.exclude_damaged else {})
            unreadable |= images.by_path(aside)
            readable[name] = images.without(aside)
            damaged |= images.by_path(result.damaged)
    listed = len(listing.train) + len(listing.val)
    named_after = listing.train if "train" in splits else listing.val
    reasons = cache / f"{named_after.key()}.unreadable.csv"
    check_unreadable(unreadable, listed, config.max_unreadable, str(root), names=reasons)
    if "train" in splits:
        check_classes(readable["train"])
    if damaged and not config.exclude_damaged:
        names = cache / f"{named_after.key()}.damaged.csv"
        write_text(names, reasons_csv(damaged))
        report_damaged(damaged, names)
    return OpenData(
        listing.train.classes,
        ImageFileDataset(readable["train"]),
        ImageFileDataset(readable["val"]),
        f"files in {root}",
        listed,
        ignored | unreadable,
        len(unreadable) if len(scans) == len(splits) else None,
        _statistics(scans["train"], config) if "train" in scans else None,
        partial(fingerprint, readable["train"], readable["val"]),
        lambda name: readable[name].key(),
        listing.val_source,
        {} if config.exclude_damaged else damaged,
    )


def _statistics(scan: DatasetScan, config: DataConfig) -> Statistics:
    """Return the statistics of the images that are used. Raises `UserError` if there are none."""
    statistics = scan.intact_statistics if config.exclude_damaged else scan.statistics
    if statistics is None:
        raise UserError("data.exclude_damaged=true: the files of all training images are damaged.")
    return statistics


def _scan(config: DataConfig, name: str, images: ImageList, cache: Path, scan: bool) -> DatasetScan | None:
    if not scan:
        return cached_scan(images, config.resize_size, cache)
    description = f"Reading the {ADJECTIVES[name]} images"
    return scan_images(images, config.resize_size, cache, os.cpu_count() or 1, description)


@dataclass(frozen=True)
class ImageData:
    """A data set ready for training: readable images only.

    `excluded` maps the path of every file set aside to the reason; `unreadable` counts those of them that did
    not decode; `origin` describes where the images are read from, and `val_source` where among them those for
    validation come from. `damaged` maps the paths of images that decode although their files are damaged to
    the damage.
    """

    classes: tuple[str, ...]
    train: ImageDataset
    val: ImageDataset
    statistics: Statistics
    excluded: dict[str, str]
    unreadable: int
    fingerprint: str
    origin: str
    val_source: str = ""
    damaged: dict[str, str] = field(default_factory=dict)

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes: the words for ImageNet's wnids, other classes unchanged."""
        names = class_names()
        return tuple(names.get(name, name) for name in self.classes)

    def fingerprints(self) -> dict[str, str]:
        """Return hashes by which runs recognize the images, all of them and those for validation."""
        return {
            "data_fingerprint": self.fingerprint,
            "val_fingerprint": names_hash(self.val, self.classes),
        }

    def newly_unreadable(self) -> dict[str, str]:
        """Map the paths of images that have become unreadable since the data was loaded to the reasons."""
        return self.train.unreadable | self.val.unreadable


def load_image_data(config: DataConfig) -> ImageData:
    """Load a data set for training. Raises `UserError` for what the user has to correct.

    With `config.hold_out` the validation images are a part of the training images.
    """
    data = open_data(config)
    assert data.statistics is not None and data.unreadable is not None  # all has been scanned
    train, val, origin, val_source = data.train, data.val, data.origin, data.val_source
    if config.in_memory:
        train = _in_memory(config, data, "train")
        val = _in_memory(config, data, "val") if config.hold_out is None else val
        origin += ", held in memory"
    if config.hold_out is not None:
        train, val = hold_out(train, config.hold_out)
        origin += f", {config.hold_out:.0%} of the training images held out for validation"
        val_source = ""
    return ImageData(
        data.classes,
        train,
        val,
        data.statistics,
        data.excluded,
        data.unreadable,
        data.fingerprint(),
        origin,
        val_source,
        data.damaged,
    )


def _in_memory(config: DataConfig, data: OpenData, split: str) -> InMemoryDataset:
    size = config.resize_size
    file = cache_folder(config, DECODED) / f"{data.split_key(split)}-{size}-{DECODING_VERSION}.npy"
    images = data.train if split == "train" else data.val
    return InMemoryDataset(images, size, file, f"Loading the {ADJECTIVES[split]} images")
