"""The features of all images of a split."""

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from alexnet.classical.features import feature_length, shrunk
from alexnet.classical.processes import describing
from alexnet.config.classical import HandMadeConfig
from alexnet.data.dataset import UNREADABLE, Images
from alexnet.data.threads import map_ahead
from alexnet.progress import progress_bar

BLOCK = 1024  # images whose features are copied at a time
PART = 32  # images that a process describes at a time


@dataclass(frozen=True)
class Described:
    """`features` (N, length) and `labels` (N,) of the readable images of a split.

    The features are mapped from a file, as those of ImageNet take 44 GB. It has no name: it is gone
    when nothing refers to it any more, however the process ends. `seconds` is how long they took.
    """

    features: NDArray[np.float32]
    labels: NDArray[np.int64]
    seconds: float

    def blocks(self) -> Iterator[slice]:
        """All rows, a few at a time: not all need be in memory at once."""
        for first in range(0, len(self.labels), BLOCK):
            yield slice(first, first + BLOCK)


@dataclass(frozen=True)
class Extraction:
    """How features are computed: `workers` processes, squares of `stored_size`, a file in `folder`.

    `check` is called again and again, and may raise what ends it.
    """

    config: HandMadeConfig
    stored_size: int
    workers: int
    folder: Path
    check: Callable[[], None]

    def of(self, images: Images, what: str) -> Described:
        """The features of all images that can be read. Raises `OSError` for a full disk."""
        began = time.perf_counter()
        labels = []
        parts = [range(first, min(first + PART, len(images))) for first in range(0, len(images), PART)]
        with (
            tempfile.TemporaryFile(dir=self.folder) as file,
            describing(self.workers) as describe,
            progress_bar(f"Features of the {what} images", len(images)) as advance,
        ):

            def part(rows: range) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
                squares, found = self._squares(images, rows)
                return describe(squares[found != UNREADABLE], self.config), found

            # two threads for each process: one reads while the other waits for features
            threads = 2 * self.workers
            with closing(map_ahead(part, parts, threads, 2 * threads)) as described:
                for features, found in described:
                    self.check()
                    file.write(features.tobytes())
                    labels.append(found[found != UNREADABLE])
                    advance(len(found))
            file.flush()
            length = feature_length(self.config)
            shape = (sum(map(len, labels)), length)
            table = (
                np.memmap(file, np.float32, "r+", shape=shape) if shape[0] else np.empty(shape, np.float32)
            )
        return Described(table, np.concatenate(labels), time.perf_counter() - began)

    def _squares(self, images: Images, rows: range) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        size, stored = self.config.image_size, self.stored_size
        square = np.empty((3, stored, stored), np.uint8)
        small = np.empty((len(rows), 3, size, size), np.uint8)
        labels = np.empty(len(rows), np.int64)
        for place, row in enumerate(rows):
            labels[place] = images.read(row, square)
            small[place] = shrunk(square, size)
        return small, labels
