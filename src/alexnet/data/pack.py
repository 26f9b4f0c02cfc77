"""Packs: a data set decoded once, as the paper did (§2), in files that are mapped into memory.

A pack is a folder: `manifest.json`; for each split `<split>_images.npy` (images, 3, size, size)
uint8 and `<split>_labels.npy` int64, -1 where a file did not decode; `statistics.npz`. Plain
.npy: any row is one copy of 192 KiB away, in any order, from any number of processes.
"""

import hashlib
import json
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from alexnet.config import DataConfig
from alexnet.data.image import ImageError, read_image, why_unreadable
from alexnet.data.listing import ImageList, check_classes, fingerprint, list_splits
from alexnet.data.sources import PARTIAL, bring, check_root
from alexnet.data.statistics import PixelSums, Statistics
from alexnet.errors import UserError
from alexnet.progress import console, progress_bar

VERSION = 1  # raise it when the format or the decoding changes
CHUNK = 64  # images that are written, and remembered as written, together
SPLITS = ("train", "val")
BAD = -1  # label of a file that did not decode


@dataclass(frozen=True)
class PackSplit:
    """One split: `rows` are the places of its readable images in `images` and `labels`."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    rows: NDArray[np.int64]


@dataclass(frozen=True)
class Pack:
    """An opened pack; its images are mapped, not read."""

    folder: Path
    classes: tuple[str, ...]
    train: PackSplit
    val: PackSplit
    statistics: Statistics
    excluded: dict[str, str]
    fingerprint: str


def pack_folder(config: DataConfig) -> Path:
    """Where the pack of a data set is, if it has been made: `data.pack`, or a place in the cache."""
    if config.pack is not None:
        return Path(config.pack).expanduser().absolute()
    root = str(Path(config.root).expanduser().absolute())
    settings = (VERSION, config.source.value, root, config.stored_size, config.val_fraction)
    key = hashlib.sha256(f"{settings} {config.synthetic}".encode()).hexdigest()[:12]
    return Path(config.cache).expanduser().absolute() / "packs" / f"{config.name}-{key}"


def check_there(config: DataConfig) -> None:
    """Raise `UserError` where there is neither a pack nor a folder of images to read."""
    if pack_folder(config).is_dir():
        return
    if config.pack is not None:
        raise UserError(f"data.pack={config.pack}: there is no pack. Make it: python src/prepare.py ...")
    check_root(config)


def open_pack(folder: Path) -> Pack:
    """Map a pack. Raises `UserError` where it is damaged or not a pack."""
    try:
        manifest = json.loads((folder / "manifest.json").read_text())
        if manifest["version"] != VERSION:
            raise ValueError(f"it is of version {manifest['version']}, not {VERSION}")
        train, val = (_open_split(folder, name, manifest["images"][name]) for name in SPLITS)
        with np.load(folder / "statistics.npz") as arrays:
            statistics = Statistics(*(arrays[name] for name in Statistics._fields))
    except (OSError, KeyError, ValueError) as error:
        raise UserError(
            f"{folder}: not a whole pack ({error}). Give another data.pack, or remove this one and"
            " make it again with prepare.py."
        ) from error
    if Path(manifest["root"]).is_dir() and folder_state(Path(manifest["root"])) != manifest["state"]:
        raise UserError(
            f"The images in {manifest['root']} have changed since they were packed. Remove {folder}, and"
            " make it again with prepare.py."
        )
    return Pack(
        folder,
        tuple(manifest["classes"]),
        train,
        val,
        statistics,
        manifest["excluded"],
        manifest["fingerprint"],
    )


def folder_state(root: Path) -> str:
    """A hash of the times at which files were added to or removed from the class folders."""
    folders = sorted(path for path in (*root.glob("*/"), *root.glob("*/*/")) if path.is_dir())
    times = [(str(path.relative_to(root)), path.stat().st_mtime_ns) for path in folders]
    return hashlib.sha256(repr(times).encode()).hexdigest()[:16]


def make_pack(config: DataConfig) -> Pack:
    """Decode a data set into its pack, or open the pack that is there.

    All cores work. A run that was killed goes on where it stopped; the folder has its name only
    when it is whole. Raises `UserError` for data that cannot be trained on, or too little disk.
    """
    folder = pack_folder(config)
    workers = os.cpu_count() or 1
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_name(f"{folder.name}.lock")):
        if folder.is_dir():
            return open_pack(folder)
        root = bring(config, workers)
        lists = dict(zip(SPLITS, list_splits(root, config.val_fraction), strict=True))
        aside = folder.with_name(f"{folder.name}{PARTIAL}")
        _resume_or_begin(aside, config, lists)
        bad = {
            name: _write_split(aside, name, images, config.stored_size, workers)
            for name, images in lists.items()
        }
        kept = {name: images.without(set(bad[name])) for name, images in lists.items()}
        check_classes(kept["train"])
        if not len(kept["val"]):
            raise UserError(f"{root}: none of the validation files is a readable image.")
        _write_statistics(aside, config.stored_size, workers)
        excluded = {path: "not an image by its name" for images in lists.values() for path in images.ignored}
        manifest = {
            "version": VERSION,
            "size": config.stored_size,
            "classes": kept["train"].classes,
            "images": {name: len(images) for name, images in lists.items()},
            "excluded": excluded | bad["train"] | bad["val"],
            "fingerprint": fingerprint(*kept.values()),
            "root": str(root),
            "state": folder_state(root),
        }
        (aside / "manifest.json").write_text(json.dumps(manifest, indent=1))
        for leftover in ("plan.json", *(f"{name}_done.npy" for name in SPLITS)):
            (aside / leftover).unlink()
        aside.rename(folder)
    return open_pack(folder)


def _open_split(folder: Path, name: str, images: int) -> PackSplit:
    mapped = np.load(folder / f"{name}_images.npy", mmap_mode="r")
    labels = np.load(folder / f"{name}_labels.npy")
    if not len(mapped) == len(labels) == images:
        raise ValueError(f"{name} has {len(mapped)} images and {len(labels)} labels, not {images}")
    return PackSplit(mapped, labels, np.flatnonzero(labels != BAD))


def _resume_or_begin(aside: Path, config: DataConfig, lists: dict[str, ImageList]) -> None:
    """Make the arrays, unless an earlier attempt at the same pack left them."""
    plan: dict[str, Any] = {
        "version": VERSION,
        "size": config.stored_size,
        "images": {name: len(images) for name, images in lists.items()},
        "fingerprint": fingerprint(*lists.values()),
    }
    written = aside / "plan.json"
    if written.is_file() and json.loads(written.read_text()) == plan:
        console.print(f"Going on with {aside}")
        return
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir()
    needed = sum(plan["images"].values()) * 3 * config.stored_size**2
    free = shutil.disk_usage(aside).free
    if needed > free:
        raise UserError(
            f"The pack needs {needed / 1e9:.1f} GB in {aside.parent}, where {free / 1e9:.1f} GB are free."
            " Give another place: data.pack=<folder>."
        )
    for name, images in lists.items():
        shape = (len(images), 3, config.stored_size, config.stored_size)
        open_memmap(aside / f"{name}_images.npy", "w+", np.uint8, shape)
        open_memmap(aside / f"{name}_labels.npy", "w+", np.int64, (len(images),))
        chunks = -(-len(images) // CHUNK)
        open_memmap(aside / f"{name}_done.npy", "w+", np.bool_, (chunks,))
    written.write_text(json.dumps(plan))


def _write_split(aside: Path, name: str, images: ImageList, size: int, workers: int) -> dict[str, str]:
    """Decode what is not yet there. Returns the files that do not decode, with the reason."""
    pixels, labels, done = (
        np.load(aside / f"{name}_{kind}.npy", mmap_mode="r+") for kind in ("images", "labels", "done")
    )

    def write(chunk: int) -> int:
        rows = range(chunk * CHUNK, min((chunk + 1) * CHUNK, len(images)))
        for row in rows:
            try:
                pixels[row] = read_image(images.root / images.paths[row], size)
                labels[row] = images.labels[row]
            except ImageError:
                labels[row] = BAD
        done[chunk] = True  # only now: a chunk that a kill cut short is written again
        return len(rows)

    missing = np.flatnonzero(~done).tolist()
    total = sum(min((chunk + 1) * CHUNK, len(images)) - chunk * CHUNK for chunk in missing)
    with ThreadPoolExecutor(workers) as pool, progress_bar(f"Packing {name}", total) as advance:
        for written in pool.map(write, missing):
            advance(written)
    for array in (pixels, labels, done):
        array.flush()
    bad = [images.paths[row] for row in np.flatnonzero(labels == BAD).tolist()]
    return {path: why_unreadable(images.root / path, size) for path in bad}


def _write_statistics(aside: Path, size: int, workers: int) -> None:
    split = _open_split(aside, "train", len(np.load(aside / "train_labels.npy", mmap_mode="r")))

    def add(rows: NDArray[np.int64]) -> PixelSums:
        part = PixelSums(size)
        for row in rows:
            part.add(split.images[row])
        return part

    sums = PixelSums(size)
    chunks = np.array_split(split.rows, max(1, len(split.rows) // CHUNK))
    with ThreadPoolExecutor(workers) as pool, progress_bar("Measuring colours", len(split.rows)) as advance:
        for part in pool.map(add, chunks):
            sums.join(part)
            advance(part.images)
    with (aside / "statistics.npz").open("wb") as file:
        np.savez(file, **sums.statistics()._asdict())
