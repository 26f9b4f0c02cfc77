"""The files of a split's images as arrays, of which a million files take a hundred megabytes."""

import hashlib
import os
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from alexnet.data.image import ImageError, decode_image, resize_pixels
from alexnet.data.labels import printable
from alexnet.data.names import Names
from alexnet.data.parquet_pages import Value, read_value
from alexnet.errors import UserError

NOT_AN_IMAGE = "not an image by its name"
NO_CLASS = "an image in no class folder"

ARRAYS = {
    **dict.fromkeys(("labels", "sizes", "times", "offsets"), np.int64),
    **dict.fromkeys(("inners", "archive_rows"), np.int32),
}
AS_STORED = -1  # `inner` of an image whose bytes are in the file as they are
PIXELS = ".npz"  # ending of archives that hold raw pixels


class Entry(NamedTuple):
    """An image's file, or its place in an archive.

    In Parquet files `offset` may be that of a compressed page, and `inner` that of the image in the page.
    """

    path: str  # relative to the root; for an image in an archive: <archive>/<its name there>
    label: int
    size: int  # bytes
    time: int = 0  # modification time of the file or the archive, ns
    offset: int = 0  # of the image's first byte in the archive
    archive_length: int = 0  # bytes of `path` that name the archive; 0 for a separate file
    inner: int = AS_STORED


class Archive(NamedTuple):
    """A file that holds images; `codec` is what compresses the pages of a Parquet file."""

    path: str  # relative to the root
    codec: str | None = None


@dataclass(frozen=True, eq=False)
class ImageList:
    """Images of one split, sorted by class and file name: the order is the same for folders and archives.

    The arrays hold the fields of `Entry`. `names` are the paths, in the encoding of the file system, without
    the archive, which is `archives[archive_rows]`; -1 is a separate file. `ignored` maps the files and
    folders that hold no images by their names to the reason.
    """

    root: Path
    classes: tuple[str, ...]
    archives: tuple[Archive, ...]
    names: Names
    labels: NDArray[np.int64]
    sizes: NDArray[np.int64]
    times: NDArray[np.int64]
    offsets: NDArray[np.int64]
    inners: NDArray[np.int32]
    archive_rows: NDArray[np.int32]
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
        builder = ImageListBuilder(root)
        for entry in entries:
            builder.add(entry)
        return builder.build(classes, ignored)

    def __len__(self) -> int:
        return len(self.labels)

    def encoded_path(self, index: int) -> bytes:
        """Return an image's path relative to `root`, in the encoding of the file system."""
        return _join(self.archives, int(self.archive_rows[index]), self.names[index])

    def path(self, index: int) -> str:
        """Return an image's path relative to `root`, in printable form."""
        return self.encoded_path(index).decode(errors="backslashreplace")

    def identity(self, index: int) -> bytes:
        """Return what identifies an image: its path, or in an archive its class and name."""
        if self.archive_rows[index] < 0:
            return self.names[index]
        return os.fsencode(self.classes[self.labels[index]]) + b"/" + _last(self.names[index])

    def decode(
        self, index: int, size: int, inspect: Callable[[bytes], None] | None = None
    ) -> NDArray[np.uint8]:
        """Read and decode an image: (3, size, size) RGB. Raises `ImageError` if that fails.

        `inspect` is called with the file first; raw pixels are no file.
        """
        archive = self.archive_rows[index]
        try:
            data = self._read_bytes(index)
            if archive >= 0 and self.archives[archive].path.endswith(PIXELS):
                return resize_pixels(data, size)
            if inspect is not None:
                inspect(data)
            return decode_image(data, size)
        except OSError as error:
            raise ImageError(error.strerror or str(error)) from error

    def _read_bytes(self, index: int) -> bytes:
        number = self.archive_rows[index]
        archive = None if number < 0 else self.archives[number]
        name = os.fsdecode(self.names[index]) if archive is None else archive.path
        with (self.root / name).open("rb", buffering=0) as file:
            if archive is None:
                return file.readall()
            offset, size, inner = (int(column[index]) for column in (self.offsets, self.sizes, self.inners))
            if inner == AS_STORED:
                return os.pread(file.fileno(), size, offset)
            return read_value(file, archive.codec, Value(offset, inner, size))

    def files(self) -> Iterator[tuple[str, int, int]]:
        """Yield path, size and modification time of each image that is a separate file."""
        for row in np.flatnonzero(self.archive_rows < 0).tolist():
            yield os.fsdecode(self.names[row]), int(self.sizes[row]), int(self.times[row])

    def storage_order(self) -> NDArray[np.int64]:
        """Return the rows in the order in which archives hold them, separate files in that of the list."""
        return np.lexsort((self.inners, self.offsets, self.archive_rows))

    def select(self, rows: NDArray[np.bool_] | NDArray[np.int64]) -> "ImageList":
        """Return the list of some of the images."""
        numbers = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows.astype(np.int64)
        arrays = {name: getattr(self, name)[numbers] for name in ARRAYS}
        return replace(self, names=self.names.select(numbers), **arrays)

    def without(self, rows: Iterable[int]) -> "ImageList":
        """Return the list without some of the images."""
        numbers = list(rows)
        if not numbers:
            return self
        kept = np.ones(len(self), np.bool_)
        kept[numbers] = False
        return self.select(kept)

    def by_path(self, reasons: dict[int, str]) -> dict[str, str]:
        """Convert a mapping from rows to reasons to one from paths to reasons."""
        return {self.path(row): reason for row, reason in reasons.items()}

    def key(self) -> str:
        """Hash the root and every file's path, label, size, modification time and offset."""
        digest = hashlib.sha256(os.fsencode(self.root.resolve()) + b"\n")
        digest.update(os.fsencode("\n".join(archive.path for archive in self.archives)))
        for values in (self.names.blob, self.names.ends, *(getattr(self, name) for name in ARRAYS)):
            digest.update(np.ascontiguousarray(values).data)
        return digest.hexdigest()[:24]


class ImageListBuilder:
    """The entries of a list that is being made, added one by one in any order."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._archives: dict[Archive, int] = {}
        self._blob, self._ends = bytearray(), array("q")
        self._columns = {name: array("q") for name in ARRAYS}

    def __len__(self) -> int:
        return len(self._ends)

    def add(self, entry: Entry, codec: str | None = None) -> None:
        """Add an image; `codec` is that of its archive."""
        path, number = os.fsencode(entry.path), -1
        if entry.archive_length:
            archive = Archive(os.fsdecode(path[: entry.archive_length]), codec)
            number = self._archives.setdefault(archive, len(self._archives))
            path = path[entry.archive_length + 1 :]
        self._blob += path
        self._ends.append(len(self._blob))
        row = (entry.label, entry.size, entry.time, entry.offset, entry.inner, number)
        for name, value in zip(ARRAYS, row, strict=True):
            self._columns[name].append(value)

    def build(
        self,
        classes: tuple[str, ...],
        ignored: Mapping[str, str] = MappingProxyType({}),
        relabel: NDArray[np.int64] | None = None,
    ) -> ImageList:
        """Return the list; the builder is empty then. `relabel` holds the final label of each given one."""
        archives = tuple(self._archives)
        names = Names(np.frombuffer(self._blob, np.uint8), np.frombuffer(self._ends, np.int64))
        columns = {
            name: np.frombuffer(self._columns.pop(name), np.int64).astype(dtype, copy=False)
            for name, dtype in ARRAYS.items()
        }
        del self._blob, self._ends
        if relabel is not None:
            columns["labels"] = relabel[columns["labels"]]

        def path(row: int) -> str:
            return os.fsdecode(_join(archives, int(columns["archive_rows"][row]), names[row]))

        order = _order(columns["labels"], path)
        # one after the other, so that no two copies of all are in memory
        names, columns = names.select(order), {name: columns.pop(name)[order] for name in ARRAYS}
        aside = {printable(path): reason for path, reason in sorted(ignored.items())}
        return ImageList(self.root, classes, archives, names, **columns, ignored=aside)


def _order(labels: NDArray[np.int64], path: Callable[[int], str]) -> NDArray[np.int64]:
    """Return the rows sorted by class, then by file name, then by path."""
    order = np.argsort(labels, kind="stable")
    if not len(order):
        return order
    ends = np.flatnonzero(np.diff(labels[order])) + 1
    for rows in np.split(order, ends):  # views: class by class, so that few strings are there at a time
        paths = [path(row) for row in rows.tolist()]
        within = sorted(range(len(rows)), key=lambda number: (_name(paths[number]), paths[number]))
        rows[:] = rows[within]
    return order


def _join(archives: Sequence[Archive], archive: int, name: bytes) -> bytes:
    return name if archive < 0 else os.fsencode(archives[archive].path) + b"/" + name


def check_classes(images: ImageList) -> None:
    """Raise `UserError` if a class has no images, or if there is only one class."""
    if len(images.classes) < 2:
        raise UserError(f"{images.root}: only one class, '{images.classes[0]}'. Training needs at least two.")
    empty = np.flatnonzero(np.bincount(images.labels, minlength=len(images.classes)) == 0)
    if len(empty):
        name = images.classes[empty[0]]
        raise UserError(f"Class '{name}' in {images.root}: none of its files is a readable image.")


def fingerprint(*splits: ImageList) -> str:
    """Hash every image's name, class and size in bytes: the same anywhere, for folders and archives."""
    digest = hashlib.sha256()
    for split in splits:
        classes = [name.encode(errors="surrogateescape") for name in split.classes]
        for name, label, size in zip(split.names, split.labels, split.sizes, strict=True):
            digest.update(b"%b\0%b\0%d\n" % (_last(name), classes[label], size))
        digest.update(b"\n")
    return digest.hexdigest()[:16]


def _name(path: str) -> str:
    return path.rpartition("/")[2]


def _last(path: bytes) -> bytes:
    return path.rpartition(b"/")[2]
