"""The lists of a data set's images, kept in the data cache.

A list is stored with the modification time of every folder, archive and file that it depends on, and is made
again when one of these has changed.
"""

import hashlib
import os
import time
from pathlib import Path
from typing import NamedTuple

from alexnet.config import DataConfig
from alexnet.data.archives import Naming, find_archives, list_archives
from alexnet.data.folders import list_folders, list_whole
from alexnet.data.image_list import ARRAYS, Archive, ImageList
from alexnet.data.locations import own_settings
from alexnet.data.locks import exclusive
from alexnet.data.names import Names
from alexnet.data.walk import Walk
from alexnet.files import Arrays, load_npz, make_output_folder, save_npz
from alexnet.paths import absolute
from alexnet.terminal import console

VERSION = 4  # increase it when the format of a list, or what counts as an image, changes
SPLITS = ("train", "val")
BLOB, ENDS = "names", "name_ends"  # of `Names`
SETTLED_NS = 1_000_000_000  # within a second a file may change again with the same modification time


class Listing(NamedTuple):
    """The images of both splits, and of their sources what `Walk` records."""

    train: ImageList
    val: ImageList
    mtimes: dict[str, int]
    notes: list[str]
    val_source: str
    held_out: bool


def list_images(config: DataConfig, root: Path, *, whole: bool = False) -> Listing:
    """List the training and validation images under `root`, in the layout of the data source.

    With `whole` no training images are held out for validation: all class folders are validation images if
    there is no folder of these. Prints what the user should know. Raises `UserError` for data that cannot be
    trained on.
    """
    settings = f"{VERSION} {config.source} {config.val_fraction} {root.resolve()}{' whole' if whole else ''}"
    settings += f" {own}" if (own := own_settings(config)) else ""
    key = hashlib.sha256(settings.encode(errors="surrogateescape")).hexdigest()[:24]
    path = cache_folder(config, "lists") / f"{key}.npz"
    with exclusive(path.with_suffix(".lock"), f"the list of the images in {root}", "data.cache"):
        if (cached := _load(path, root)) is not None:
            _report(config, cached)
            return cached
        began, walk = time.time_ns(), Walk(root)
        train, val = config.list_files(walk) or _list(walk, config, whole)
        listing = Listing(train, val, walk.mtimes, walk.notes, walk.val_source, walk.held_out)
        newest = max(*walk.mtimes.values(), *(int(split.times.max(initial=0)) for split in (train, val)))
        if newest < began - SETTLED_NS:
            _save(path, listing)
    _report(config, listing)
    return listing


def _list(walk: Walk, config: DataConfig, whole: bool) -> tuple[ImageList, ImageList]:
    if archives := find_archives(walk.root):
        return list_archives(walk, archives, None if whole else config.val_fraction, Naming())
    return list_whole(walk) if whole else list_folders(walk, config.val_fraction)


def _report(config: DataConfig, listing: Listing) -> None:
    for text in listing.notes:
        console.print(text, markup=False)
    if note := config.describe_gaps(listing.train, listing.val):
        console.print(note)


def unchanged(root: Path, mtimes: dict[str, int]) -> bool:
    """Return whether all modification times are the same: nothing has been added, removed or renamed."""
    base = os.fspath(root)
    try:
        return all(os.stat(f"{base}/{name}").st_mtime_ns == time_ns for name, time_ns in mtimes.items())  # noqa: PTH116
    except OSError:
        return False


def cache_folder(config: DataConfig, kind: str) -> Path:
    """Return a folder in the data cache, created if necessary. Raises `UserError` if it is not writable."""
    folder = absolute(config.cache) / kind
    make_output_folder(folder, "Cannot write to the data cache", setting="data.cache")
    return folder


def _save(path: Path, listing: Listing) -> None:
    splits = (listing.train, listing.val)
    arrays = {
        f"{name}_{array}": values
        for name, split in zip(SPLITS, splits, strict=True)
        for array, values in _arrays(split).items()
    }
    notes = {
        "seen": listing.mtimes,
        "classes": listing.train.classes,
        "ignored": [split.ignored for split in splits],
        "archives": [split.archives for split in splits],
        "notes": listing.notes,
        "val_source": listing.val_source,
        "held_out": listing.held_out,
    }
    save_npz(path, arrays, notes)


def _load(path: Path, root: Path) -> Listing | None:
    """Load a list if the sizes and modification times of all its folders and files are the same.

    None also for a list that is damaged, or that another version has written.
    """
    try:
        listing = _read(path, root)
    except (OSError, LookupError, TypeError, ValueError):
        return None
    same = unchanged(root, listing.mtimes) and _same_files(listing.train) and _same_files(listing.val)
    return listing if same else None


def _read(path: Path, root: Path) -> Listing:
    arrays, notes = load_npz(path)
    train, val = (
        ImageList(
            root,
            tuple(notes["classes"]),
            tuple(Archive(*archive) for archive in archives),
            Names(arrays[f"{name}_{BLOB}"], arrays[f"{name}_{ENDS}"]),
            **{array: arrays[f"{name}_{array}"] for array in ARRAYS},
            ignored=ignored,
        )
        for name, ignored, archives in zip(SPLITS, notes["ignored"], notes["archives"], strict=True)
    )
    return Listing(train, val, notes["seen"], notes["notes"], notes["val_source"], notes["held_out"])


def _arrays(images: ImageList) -> Arrays:
    names: Arrays = {BLOB: images.names.blob, ENDS: images.names.ends}
    return names | {array: getattr(images, array) for array in ARRAYS}


def _same_files(images: ImageList) -> bool:
    base = os.fspath(images.root)
    try:
        for name, size, time_ns in images.files():
            status = os.stat(f"{base}/{name}")  # noqa: PTH116 - a Path for each of a million is slow
            if (status.st_size, status.st_mtime_ns) != (size, time_ns):
                return False
    except OSError:
        return False
    return True
