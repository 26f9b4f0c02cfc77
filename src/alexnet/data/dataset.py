"""The images of a split by index, decoded from files or read from a pack."""

import os
from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import NDArray

from alexnet.data.image import UNREADABLE, ImageError
from alexnet.data.image_list import ImageList
from alexnet.data.pack_reader import PackSplit


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
