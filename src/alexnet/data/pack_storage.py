"""How a pack stores images: their pixels in one array, or JPEG files in one file."""

import errno
import os
from pathlib import Path

import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from alexnet.config import PackFormat, PrepareConfig
from alexnet.data.image import encode_jpeg


class RawWriter:
    """Writer of pixels to one array; each thread writes an image as soon as it has decoded it."""

    def __init__(self, path: Path, images: int, size: int) -> None:
        if not path.is_file():
            open_memmap(path, "w+", np.uint8, (images, 3, size, size))
        self.offset = np.load(path, mmap_mode="r").offset
        self.file = path.open("r+b", buffering=0)

    def encode(self, row: int, image: NDArray[np.uint8]) -> bytes:
        """Write the pixels; nothing is left to append."""
        pixels = np.ascontiguousarray(image)
        written = os.pwrite(self.file.fileno(), pixels.data, self.offset + row * pixels.nbytes)
        if written < pixels.nbytes:  # the write that fills a disk may end early without an error
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), self.file.name)
        return b""

    def append(self, rows: range, encoded: list[bytes]) -> None:
        """Do nothing: `encode` has written the pixels."""

    def flush(self) -> None:
        os.fsync(self.file.fileno())

    def close(self) -> None:
        self.flush()
        self.file.close()


class JpegWriter:
    """Writer of JPEG files to one file, one after the other."""

    def __init__(self, path: Path, ends: Path, images: int, quality: int, done: int) -> None:
        self.quality = quality
        if not ends.is_file():
            open_memmap(ends, "w+", np.int64, (images,))
        self.ends = np.load(ends, mmap_mode="r+")
        self.end = int(self.ends[done - 1]) if done else 0
        self.file = path.open("r+b" if done else "wb")
        self.file.seek(self.end)

    def encode(self, row: int, image: NDArray[np.uint8]) -> bytes:
        """Return the image as JPEG."""
        return encode_jpeg(image, self.quality)

    def append(self, rows: range, encoded: list[bytes]) -> None:
        """Write images that are encoded, in the order of the rows."""
        for row, data in zip(rows, encoded, strict=True):
            self.file.write(data)
            self.end += len(data)
            self.ends[row] = self.end

    def flush(self) -> None:
        self.file.flush()
        os.fsync(self.file.fileno())
        self.ends.flush()

    def close(self) -> None:
        self.flush()
        self.file.close()


def open_writer(
    partial: Path, name: str, images: int, config: PrepareConfig, done: int
) -> RawWriter | JpegWriter:
    """Open the writer of a split of `images` images, the first `done` of which are there already."""
    if config.format is PackFormat.raw:
        return RawWriter(partial / f"{name}_images.npy", images, config.data.resize_size)
    return JpegWriter(
        partial / f"{name}_images.jpegs", partial / f"{name}_ends.npy", images, config.quality, done
    )
