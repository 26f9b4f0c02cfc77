"""A split of small images, held decoded in memory."""

import os

import numpy as np
from numpy.typing import NDArray

from alexnet.data.dataset import ImageDataset
from alexnet.data.prefetch import prefetch_map
from alexnet.errors import UserError
from alexnet.machine import available_memory
from alexnet.paths import command_for
from alexnet.terminal import progress_bar

CHUNK = 512  # images that a thread reads at a time


class InMemoryDataset(ImageDataset):
    """The images of another data set, decoded once: (images, 3, size, size) uint8.

    Raises `UserError` if they need more memory than there is.
    """

    def __init__(self, images: ImageDataset, size: int, description: str) -> None:
        super().__init__(images.labels.copy())
        self.images = images
        self.unreadable = images.unreadable
        shape = (len(images), 3, size, size)
        required, available = float(np.prod(shape, dtype=np.int64)), available_memory()
        if available is not None and required > available:
            raise UserError(
                f"data.in_memory=true: {len(images):,} images of {size} pixels need {required / 1e9:.1f} GB"
                f" of memory, and {available / 1e9:.1f} GB are available. Leave it out; a pack is as"
                f" fast: {command_for('prepare')} with the same data keys."
            )
        self.pixels = np.empty(shape, np.uint8)
        chunks = range(0, len(images), CHUNK)
        with progress_bar(description, len(images)) as advance:
            for count in prefetch_map(self._load, chunks, os.cpu_count() or 1, len(chunks)):
                advance(count)

    def path(self, index: int) -> str:
        return self.images.path(index)

    def read_rows(
        self, indices: NDArray[np.int64], images: NDArray[np.uint8], labels: NDArray[np.int64]
    ) -> None:
        np.take(self.pixels, indices, axis=0, out=images, mode="clip")
        labels[...] = self.labels[indices]

    def _read(self, index: int, out: NDArray[np.uint8]) -> None:
        out[...] = self.pixels[index]

    def _load(self, start: int) -> int:
        rows = np.arange(start, min(start + CHUNK, len(self.images)))
        self.images.read_rows(rows, self.pixels[rows[0] : rows[-1] + 1], self.labels[rows[0] : rows[-1] + 1])
        return len(rows)
