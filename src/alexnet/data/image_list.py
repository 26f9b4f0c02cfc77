"""The files of a split's images as arrays, of which a million files take a hundred megabytes."""

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from alexnet.data.image import ImageError, decode_image
from alexnet.data.labels import printable
from alexnet.errors import UserError

NOT_AN_IMAGE = "not an image by its name"

ARRAYS = ("paths", "labels", "sizes", "times", "offsets", "tar_lengths")


class Entry(NamedTuple):
    """An image's file, or its member of a tar."""

    path: str  # relative to the root; for a member of a tar: <tar>/<member>
    label: int
    size: int  # bytes
    time: int = 0  # modification time, ns; 0 in a tar
    offset: int = 0  # of the image's first byte in the tar
    tar_length: int = 0  # bytes of `path` that name the tar; 0 for a separate file


@dataclass(frozen=True, eq=False)
class ImageList:
    """Images of one split, sorted by class and file name: the order is the same for folders and tars.

    The arrays hold the fields of `Entry`; `paths` are in the encoding of the file system. `ignored` maps
    the files and folders that hold no images by their names to the reason.
    """

    root: Path
    classes: tuple[str, ...]
    paths: NDArray[np.bytes_]
    labels: NDArray[np.int64]
    sizes: NDArray[np.int64]
    times: NDArray[np.int64]
    offsets: NDArray[np.int64]
    tar_lengths: NDArray[np.int64]
    ignored: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        root: Path,
        classes: tuple[str, ...],
        entries: Iterable[Entry],
        ignored: Mapping[str, str] = MappingProxyType({}),
    ) -> "ImageList":
        """Create the list from `entries` in any order."""
        rows = sorted(entries, key=lambda entry: (entry.label, _name(entry.path), entry.path))
        paths = np.array([os.fsencode(row.path) for row in rows], dtype=np.bytes_)
        numbers = np.array([row[1:] for row in rows], np.int64).reshape(-1, 5).T
        arrays = dict(zip(ARRAYS, (paths, *np.ascontiguousarray(numbers)), strict=True))
        aside = {printable(path): reason for path, reason in sorted(ignored.items())}
        return cls(root, classes, **arrays, ignored=aside)

    def __len__(self) -> int:
        return len(self.paths)

    def path(self, index: int) -> str:
        """Return an image's path relative to `root`, in printable form."""
        return self.paths[index].decode(errors="backslashreplace")

    def decode(
        self, index: int, size: int, inspect: Callable[[bytes], None] | None = None
    ) -> NDArray[np.uint8]:
        """Read and decode an image: (3, size, size) RGB. Raises `ImageError` if that fails.

        `inspect` is called with the file first.
        """
        try:
            data = self._read_bytes(index)
            if inspect is not None:
                inspect(data)
            return decode_image(data, size)
        except OSError as error:
            raise ImageError(error.strerror or str(error)) from error

    def _read_bytes(self, index: int) -> bytes:
        path, tar_length = self.paths[index], self.tar_lengths[index]
        name = os.fsdecode(path[:tar_length] if tar_length else path)
        with (self.root / name).open("rb", buffering=0) as file:
            if tar_length:
                return os.pread(file.fileno(), int(self.sizes[index]), int(self.offsets[index]))
            return file.readall()

    def files(self) -> Iterator[tuple[str, int, int]]:
        """Yield path, size and modification time of each image that is a separate file."""
        rows = np.flatnonzero(self.tar_lengths == 0)
        arrays = (self.paths, self.sizes, self.times)
        for path, size, time in zip(*(array[rows].tolist() for array in arrays), strict=True):
            yield os.fsdecode(path), size, time

    def select(self, rows: NDArray[np.bool_] | NDArray[np.int64]) -> "ImageList":
        """Return the list of some of the images."""
        return replace(self, **{name: getattr(self, name)[rows] for name in ARRAYS})

    def without(self, rows: Iterable[int]) -> "ImageList":
        """Return the list without some of the images."""
        kept = np.ones(len(self), np.bool_)
        kept[list(rows)] = False
        return self.select(kept)

    def by_path(self, reasons: dict[int, str]) -> dict[str, str]:
        """Convert a mapping from rows to reasons to one from paths to reasons."""
        return {self.path(row): reason for row, reason in reasons.items()}

    def key(self) -> str:
        """Hash the root and every file's path, label, size, modification time and offset."""
        digest = hashlib.sha256(os.fsencode(self.root.resolve()) + b"\n")
        for array in (self.paths, self.labels, self.sizes, self.times, self.offsets):
            digest.update(array.tobytes())
        return digest.hexdigest()[:24]


def check_classes(images: ImageList) -> None:
    """Raise `UserError` if a class has no images, or if there is only one class."""
    if len(images.classes) < 2:
        raise UserError(f"{images.root}: only one class, '{images.classes[0]}'. Training needs at least two.")
    empty = np.flatnonzero(np.bincount(images.labels, minlength=len(images.classes)) == 0)
    if len(empty):
        name = images.classes[empty[0]]
        raise UserError(f"Class '{name}' in {images.root}: none of its files is a readable image.")


def fingerprint(*splits: ImageList) -> str:
    """Hash every image's name, class and size in bytes: the same at any location, for folders and tars."""
    digest = hashlib.sha256()
    for split in splits:
        for path, label, size in zip(split.paths.tolist(), split.labels.tolist(), split.sizes, strict=True):
            digest.update(
                f"{_name(os.fsdecode(path))}\0{split.classes[label]}\0{size}\n".encode(
                    errors="surrogateescape"
                )
            )
        digest.update(b"\n")
    return digest.hexdigest()[:16]


def _name(path: str) -> str:
    return path.rpartition("/")[2]
