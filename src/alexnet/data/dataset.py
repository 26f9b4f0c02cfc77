"""The images of a split by index, decoded from files or read from a pack."""

import hashlib
import os
from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from alexnet.data.image import UNREADABLE, ImageError
from alexnet.data.image_list import ImageList
from alexnet.data.pack_reader import PackSplit
from alexnet.errors import UserError


class ImageDataset(ABC):
    """The images and labels of one split by index; any number of threads may read them.

    `labels` (images,); `unreadable` maps the path of each image that did not decode to the reason.
    """

    def __init__(self, labels: NDArray[np.int64]) -> None:
        self.labels = labels
        self.unreadable: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self.labels)

    def read(self, index: int, out: NDArray[np.uint8]) -> int:
        """Write an image into `out` (3, size, size) and return its label.

        An image that does not decode becomes zeros, with the label `UNREADABLE`.
        """
        try:
            self._read(index, out)
        except ImageError as error:
            self.unreadable[self.path(index)] = str(error)
            out[...] = 0
            return UNREADABLE
        return int(self.labels[index])

    def read_rows(
        self, indices: NDArray[np.int64], images: NDArray[np.uint8], labels: NDArray[np.int64]
    ) -> None:
        """Write the images `indices` (N,) into `images` (N, 3, size, size), and their labels (N,)."""
        for row, index in enumerate(indices.tolist()):
            labels[row] = self.read(index, images[row])

    @abstractmethod
    def path(self, index: int) -> str:
        """Return the path of an image's file, or of the file from which it was packed."""

    @abstractmethod
    def _read(self, index: int, out: NDArray[np.uint8]) -> None: ...


class ImageFileDataset(ImageDataset):
    """Images decoded from files."""

    def __init__(self, images: ImageList) -> None:
        super().__init__(images.labels)
        self.images = images

    def path(self, index: int) -> str:
        return self.images.path(index)

    def _read(self, index: int, out: NDArray[np.uint8]) -> None:
        out[...] = self.images.decode(index, out.shape[-1])


class PackedDataset(ImageDataset):
    """Images read from a pack."""

    def __init__(self, split: PackSplit) -> None:
        super().__init__(split.labels[split.rows])
        self.split = split
        self._descriptor = split.open()

    def __del__(self) -> None:
        os.close(self._descriptor)

    def path(self, index: int) -> str:
        return self.split.path(int(self.split.rows[index]))

    def _read(self, index: int, out: NDArray[np.uint8]) -> None:
        self.split.read(self._descriptor, int(self.split.rows[index]), out)


class Subset(ImageDataset):
    """Some of the images of a split, those in `rows`."""

    def __init__(self, images: ImageDataset, rows: NDArray[np.int64]) -> None:
        super().__init__(images.labels[rows])
        self.images, self.rows = images, rows
        self.unreadable = images.unreadable

    def read_rows(
        self, indices: NDArray[np.int64], images: NDArray[np.uint8], labels: NDArray[np.int64]
    ) -> None:
        self.images.read_rows(self.rows[indices], images, labels)

    def path(self, index: int) -> str:
        return self.images.path(int(self.rows[index]))

    def _read(self, index: int, out: NDArray[np.uint8]) -> None:
        self.images._read(int(self.rows[index]), out)


def hold_out(images: ImageDataset, fraction: float) -> tuple[Subset, Subset]:
    """Split off `fraction` of each class's images, chosen by the hashes of their file names.

    Returns the rest and the images held out, with at least one image of each class in both. Raises
    `UserError` if a class has a single image.
    """
    held = np.zeros(len(images), np.bool_)
    for label in np.unique(images.labels):
        rows = np.flatnonzero(images.labels == label)
        if len(rows) < 2:
            raise UserError(
                f"data.hold_out={fraction}: {images.path(int(rows[0]))} is the only image of its class."
            )
        count = min(max(1, round(fraction * len(rows))), len(rows) - 1)
        names = [images.path(int(row)).rpartition("/")[2] for row in rows]
        hashes = [hashlib.sha256(name.encode(errors="surrogateescape")).digest() for name in names]
        held[rows[sorted(range(len(rows)), key=hashes.__getitem__)[:count]]] = True
    return Subset(images, np.flatnonzero(~held)), Subset(images, np.flatnonzero(held))


def names_hash(images: ImageDataset, classes: Sequence[str]) -> str:
    """Hash every image's file name and class: the same anywhere, for files and for packs."""
    digest = hashlib.sha256()
    for index, label in enumerate(images.labels.tolist()):
        name = images.path(index).rpartition("/")[2]
        digest.update(f"{name}\0{classes[label]}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()[:16]
