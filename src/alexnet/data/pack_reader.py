"""Read packs: data sets decoded once, as the paper did (§2), in a few files of plain arrays.

A pack is a folder, made by `alexnet.data.pack_writer`:

    manifest.json                    version, format, counts, classes and their names, files set aside, damage
    statistics.npz                   mean image and channels; colour components and their standard deviations
    <split>_labels.npy               int64 (images,), -1 if the file did not decode
    <split>_names.npy                the file of each image
    <split>_images.npy               format raw: uint8 (images, 3, size, size)
    <split>_images.jpegs, _ends.npy  format jpeg: the JPEG files one after the other, and the end of each

An image takes one read, in any order, from any number of threads, processes and machines, as is needed for
full shuffling, sharding and exact restarts; numpy.load can map every .npy file.
"""

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alexnet.config import PackFormat
from alexnet.data.image import UNREADABLE, ImageError, decode_image
from alexnet.data.listing import SPLITS, unchanged
from alexnet.data.locations import PACK_VERSION
from alexnet.data.statistics import Statistics
from alexnet.errors import UserError
from alexnet.files import load_npz
from alexnet.terminal import console


@dataclass(frozen=True)
class PackSplit:
    """One split of a pack; `rows` are the indices of the readable images among all stored ones.

    `images` maps the pixels, or the bytes of all JPEG files, of which that of row i ends before ends[i].
    """

    file: Path
    images: np.memmap[Any, np.dtype[np.uint8]]
    ends: NDArray[np.int64] | None
    labels: NDArray[np.int64]
    names: NDArray[np.bytes_]
    rows: NDArray[np.int64]

    def open(self) -> int:
        """Open the file of the images and return its descriptor, for `read`."""
        return os.open(self.file, os.O_RDONLY)

    def path(self, row: int) -> str:
        """Return the path of the file from which a row was packed, in printable form."""
        return self.names[row].decode(errors="backslashreplace")

    def read(self, descriptor: int, row: int, out: NDArray[np.uint8]) -> None:
        """Write the image of a row into `out` (3, size, size). Raises `ImageError`.

        Reads the file instead of copying from the map: one request to the disk for the whole image, and no
        pages that keep counting as the process's memory.
        """
        start = self.images.offset
        try:
            if self.ends is None:
                if os.preadv(descriptor, [out.data], start + row * out.nbytes) != out.nbytes:
                    raise ImageError("the pack is truncated")
                return
            begin = int(self.ends[row - 1]) if row else 0
            out[...] = decode_image(os.pread(descriptor, int(self.ends[row]) - begin, begin), out.shape[-1])
        except OSError as error:
            raise ImageError(error.strerror or str(error)) from error


@dataclass(frozen=True)
class Pack:
    """An opened pack. `root` and `mtimes` are those of its images when they were packed (see `Listing`)."""

    folder: Path
    format: PackFormat
    classes: tuple[str, ...]
    train: PackSplit
    val: PackSplit
    statistics: Statistics
    excluded: dict[str, str]
    damaged: dict[str, str]
    fingerprint: str
    val_source: str
    held_out: bool
    root: Path
    mtimes: dict[str, int]

    def split_key(self, name: str) -> str:
        """Hash a split's file: its path, size and modification time."""
        file = (self.train if name == "train" else self.val).file
        status = file.stat()
        identity = os.fsencode(file.resolve()) + b" %d %d" % (status.st_size, status.st_mtime_ns)
        return hashlib.sha256(identity).hexdigest()[:24]


def open_pack(folder: Path) -> Pack:
    """Open a pack. Raises `UserError` if the folder does not hold a pack, or holds a damaged one."""
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        if manifest["version"] != PACK_VERSION:
            raise ValueError(f"it has version {manifest['version']}, not {PACK_VERSION}")
        packed = PackFormat(manifest["format"])
        train, val = (_open_split(folder, name, packed, manifest["images"][name]) for name in SPLITS)
        arrays, _ = load_npz(folder / "statistics.npz")
        return Pack(
            folder,
            packed,
            tuple(manifest["classes"]),
            train,
            val,
            Statistics(*(arrays[name] for name in Statistics._fields)),
            manifest["excluded"],
            manifest["damaged"],
            manifest["fingerprint"],
            manifest["val_source"],
            manifest["held_out"],
            Path(manifest["root"]),
            manifest["seen"],
        )
    except (OSError, EOFError, LookupError, TypeError, ValueError) as error:
        raise UserError(
            f"{folder}: not a complete pack ({error}). Give another data.pack, or remove this one and make it"
            " again with prepare.py."
        ) from error


def check_current(pack: Pack, asked_for: bool) -> None:
    """Raise `UserError` if the images have changed since they were packed; if `asked_for`, only print it."""
    if not pack.root.is_dir() or unchanged(pack.root, pack.mtimes):
        return
    changed = f"The images in {pack.root} have changed since they were packed."
    if not asked_for:
        raise UserError(f"{changed} Remove {pack.folder}, and make it again with prepare.py.")
    console.print(f"{changed} {pack.folder} is used unchanged.", markup=False)


def _open_split(folder: Path, name: str, packed: PackFormat, images: int) -> PackSplit:
    labels = np.load(folder / f"{name}_labels.npy")
    names = np.load(folder / f"{name}_names.npy", mmap_mode="r")
    ends = None
    if packed is PackFormat.raw:
        file = folder / f"{name}_images.npy"
        mapped = np.load(file, mmap_mode="r")
        stored = len(mapped)
    else:
        file = folder / f"{name}_images.jpegs"
        mapped = np.memmap(file, np.uint8, "r")
        ends = np.load(folder / f"{name}_ends.npy", mmap_mode="r")
        stored = len(ends)
        if len(mapped) != ends[-1]:
            raise ValueError(f"{file.name} has {len(mapped)} bytes, not {ends[-1]}")
    if not stored == len(labels) == len(names) == images:
        raise ValueError(f"{name} has {stored} images and {len(labels)} labels, not {images}")
    return PackSplit(file, mapped, ends, labels, names, np.flatnonzero(labels != UNREADABLE))
