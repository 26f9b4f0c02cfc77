"""Hand-made features of all images of a split, computed in worker processes."""

import os
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, contextmanager
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from pathlib import Path
from threading import Thread

import numpy as np
from numpy.typing import NDArray

from alexnet.classical.features import describe, feature_length, shrink
from alexnet.config import HandMadeConfig
from alexnet.data.dataset import UNREADABLE, ImageDataset
from alexnet.data.loader import prefetch_map
from alexnet.errors import UserError
from alexnet.terminal import progress_bar

BLOCK = 1024  # images whose features are copied at a time
PART = 32  # images that a process describes at a time


@dataclass(frozen=True)
class FeatureMatrix:
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
    """How features are computed: `workers` processes, squares of `resize_size`, a file in `folder`.

    `check` is called again and again, and may raise what ends it.
    """

    config: HandMadeConfig
    resize_size: int
    workers: int
    folder: Path
    check: Callable[[], None]

    def of(self, images: ImageDataset, what: str) -> FeatureMatrix:
        """The features of all images that can be read. Raises `OSError` for a full disk."""
        began = time.perf_counter()
        labels = []
        parts = [range(first, min(first + PART, len(images))) for first in range(0, len(images), PART)]
        with (
            tempfile.TemporaryFile(dir=self.folder) as file,
            feature_pool(self.workers) as describe,
            progress_bar(f"Features of the {what} images", len(images)) as advance,
        ):

            def part(rows: range) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
                squares, found = self._squares(images, rows)
                return describe(squares[found != UNREADABLE], self.config), found

            # two threads for each process: one reads while the other waits for features
            threads = 2 * self.workers
            with closing(prefetch_map(part, parts, threads, 2 * threads)) as described:
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
        return FeatureMatrix(table, np.concatenate(labels), time.perf_counter() - began)

    def _squares(self, images: ImageDataset, rows: range) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        size, stored = self.config.image_size, self.resize_size
        square = np.empty((3, stored, stored), np.uint8)
        small = np.empty((len(rows), 3, size, size), np.uint8)
        labels = np.empty(len(rows), np.int64)
        for place, row in enumerate(rows):
            labels[place] = images.read(row, square)
            small[place] = shrink(square, size)
        return small, labels


Describe = Callable[[NDArray[np.uint8], HandMadeConfig], NDArray[np.float32]]


@contextmanager
def feature_pool(workers: int) -> Iterator[Describe]:
    """Yields `describe`, worked out by `workers` processes, to be called from any number of threads.

    Without workers it is worked out here. Raises `UserError` where a process has been killed.
    """
    if workers == 0:
        yield describe
        return
    # fork would copy the threads' locks, and what torch has begun
    pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_init_worker)

    def elsewhere(images: NDArray[np.uint8], config: HandMadeConfig) -> NDArray[np.float32]:
        try:
            return pool.submit(describe, images, config).result()
        except BrokenProcessPool as error:
            raise UserError(
                "A process that computes features was killed, perhaps for want of memory. Try fewer:"
                f" data.workers={max(0, workers // 2)}."
            ) from error

    try:
        yield elsewhere
    finally:
        pool.shutdown(cancel_futures=True)


def _init_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes: the first one decides
    Thread(target=_exit_with_parent, daemon=True).start()


def _exit_with_parent() -> None:
    """However the first process ends, none of these outlives it."""
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
