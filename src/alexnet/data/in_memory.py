"""A split of small images, decoded once and mapped into memory.

The decoded images are a file in the data cache. All processes of a machine that map it, such as the jobs of a
sweep or the ranks of a run, share one copy in memory, and only the first of them decodes.
"""

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alexnet.data.dataset import ImageDataset
from alexnet.data.image import UNREADABLE, ImageError
from alexnet.data.locks import exclusive
from alexnet.data.prefetch import prefetch_map
from alexnet.errors import UserError
from alexnet.files import atomic_write
from alexnet.machine import available_memory
from alexnet.paths import command_for
from alexnet.terminal import console, progress_bar

CHUNK = 512  # images that a thread reads at a time

Pixels = NDArray[np.uint8]


class InMemoryDataset(ImageDataset):
    """The images of another data set, decoded once: (images, 3, size, size) uint8.

    `file` holds them once they are decoded: its name stands for these images, as they are stored now, at
    `size`. On a full disk, or if an image has become unreadable, the process keeps a copy of its own. Raises
    `UserError` if the images need more memory than there is, or for a folder that is not writable.
    """

    def __init__(self, images: ImageDataset, size: int, file: Path, description: str) -> None:
        super().__init__(images.labels)
        self.images = images
        self.unreadable = images.unreadable
        self._decoded_labels = images.labels.copy()  # `UNREADABLE` where an image did not decode
        shape = (len(images), 3, size, size)
        with exclusive(file.with_suffix(".lock"), f"the decoded images {file}", "data.cache"):
            pixels = _map(file, shape)
            if pixels is None:
                pixels = self._decode(shape, description)
                if not self.unreadable:
                    pixels = _share(pixels, file)
        self.pixels = pixels

    def path(self, index: int) -> str:
        return self.images.path(index)

    def read_rows(self, indices: NDArray[np.int64], images: Pixels, labels: NDArray[np.int64]) -> None:
        np.take(self.pixels, indices, axis=0, out=images, mode="clip")
        labels[...] = self._decoded_labels[indices]

    def _read(self, index: int, out: Pixels) -> None:
        if self._decoded_labels[index] == UNREADABLE:
            raise ImageError(self.unreadable[self.path(index)])
        out[...] = self.pixels[index]

    def _decode(self, shape: tuple[int, ...], description: str) -> Pixels:
        required, available = float(np.prod(shape, dtype=np.int64)), available_memory()
        if available is not None and required > available:
            raise UserError(
                f"data.in_memory=true: {shape[0]:,} images of {shape[-1]} pixels need {required / 1e9:.1f} GB"
                f" of memory, and {available / 1e9:.1f} GB are available. Leave it out; a pack is as"
                f" fast: {command_for('prepare')} with the same data keys."
            )
        pixels = np.empty(shape, np.uint8)

        def load(start: int) -> int:
            rows = np.arange(start, min(start + CHUNK, len(pixels)))
            place = slice(start, start + len(rows))
            self.images.read_rows(rows, pixels[place], self._decoded_labels[place])
            return len(rows)

        chunks = range(0, len(pixels), CHUNK)
        with progress_bar(description, len(pixels)) as advance:
            for count in prefetch_map(load, chunks, os.cpu_count() or 1, len(chunks)):
                advance(count)
        return pixels


def _map(file: Path, shape: tuple[int, ...]) -> Pixels | None:
    """Map the decoded images; None if the file is missing, damaged or of other images."""
    try:
        pixels: np.memmap[Any, np.dtype[np.uint8]] = np.load(file, mmap_mode="r", allow_pickle=False)
    except (OSError, EOFError, ValueError):
        return None
    return pixels if pixels.shape == shape and pixels.dtype == np.uint8 else None


def _share(pixels: Pixels, file: Path) -> Pixels:
    """Write the decoded images to the file and return them mapped; where that fails, as they are."""
    try:
        with atomic_write(file) as opened:
            np.save(opened, pixels, allow_pickle=False)
    except OSError as error:
        console.print(
            f"Cannot write the decoded images to {file.parent}: {error.strerror}. Only this process has them;"
            " another folder: data.cache=...",
            markup=False,
        )
        return pixels
    mapped = _map(file, pixels.shape)
    return pixels if mapped is None else mapped
