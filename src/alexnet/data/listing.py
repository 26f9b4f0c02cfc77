"""The images of a data set, looked up once and remembered.

A list is kept in the data cache with the time of change of every folder, archive and file that it
came from, and made again when one of these has changed.
"""

import hashlib
import os
import time
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock

from alexnet.config import DataConfig, DataSource
from alexnet.data.folders import Walk, list_folders
from alexnet.data.image_list import ARRAYS, ImageList
from alexnet.data.imagenet import completeness, list_imagenet
from alexnet.errors import UserError
from alexnet.files import load_npz, save_npz
from alexnet.terminal import console

VERSION = 1  # raise it when the form of a list, or what is taken as an image, changes
SPLITS = ("train", "val")
SETTLED_NS = 1_000_000_000  # what has changed within a second may change again without a new time


class Listing(NamedTuple):
    """The images of both splits, and when what they were found in had last changed (`Walk.seen`)."""

    train: ImageList
    val: ImageList
    seen: dict[str, int]


def list_images(config: DataConfig, root: Path) -> Listing:
    """Training and validation images under `root`, in the form that the data source has.

    Raises `UserError` for what cannot be trained on.
    """
    settings = f"{VERSION} {config.source} {config.val_fraction} {root.resolve()}"
    key = hashlib.sha256(settings.encode(errors="surrogateescape")).hexdigest()[:24]
    path = cache_folder(config, "lists") / f"{key}.npz"
    with FileLock(path.with_suffix(".lock")):  # of several processes one looks, the others wait
        if (known := _load(path, root)) is not None:
            _note_completeness(config, known)
            return known
        began, walk = time.time_ns(), Walk(root)
        if config.source is DataSource.imagenet:
            train, val = list_imagenet(walk)
        else:
            train, val = list_folders(walk, config.val_fraction)
        found = Listing(train, val, walk.seen)
        newest = max(*walk.seen.values(), *(int(split.times.max(initial=0)) for split in (train, val)))
        if newest < began - SETTLED_NS:
            _save(path, found)
    _note_completeness(config, found)
    return found


def _note_completeness(config: DataConfig, found: Listing) -> None:
    if config.source is DataSource.imagenet and (note := completeness(found.train, found.val)):
        console.print(note)


def unchanged(root: Path, seen: dict[str, int]) -> bool:
    """Whether nothing was added to, removed from or renamed in what was looked at."""
    base = os.fspath(root)
    try:
        return all(os.stat(f"{base}/{name}").st_mtime_ns == time_ns for name, time_ns in seen.items())  # noqa: PTH116
    except OSError:
        return False


def cache_folder(config: DataConfig, kind: str) -> Path:
    """A folder in the data cache, made if need be. Raises `UserError` where it cannot be."""
    folder = Path(config.cache).expanduser().absolute() / kind
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ".writable").touch()
    except OSError as error:
        reason = f"cannot be written to ({error.strerror}). Give another."
        raise UserError(f"data.cache={config.cache}: {reason}") from error
    return folder


def _save(path: Path, found: Listing) -> None:
    splits = (found.train, found.val)
    arrays = {
        f"{name}_{array}": getattr(split, array)
        for name, split in zip(SPLITS, splits, strict=True)
        for array in ARRAYS
    }
    ignored = [split.ignored for split in splits]
    save_npz(path, arrays, {"seen": found.seen, "classes": found.train.classes, "ignored": ignored})


def _load(path: Path, root: Path) -> Listing | None:
    """What was listed before, if every folder and file is still as it was then."""
    try:
        arrays, notes = load_npz(path)
    except (OSError, ValueError):
        return None
    train, val = (
        ImageList(
            root,
            tuple(notes["classes"]),
            **{array: arrays[f"{name}_{array}"] for array in ARRAYS},
            ignored=tuple(ignored),
        )
        for name, ignored in zip(SPLITS, notes["ignored"], strict=True)
    )
    if unchanged(root, notes["seen"]) and _same_files(train) and _same_files(val):
        return Listing(train, val, notes["seen"])
    return None


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
