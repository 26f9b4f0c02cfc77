"""Extraction of the features of all images of a split, in worker processes."""

import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from alexnet.classical.features import compute_features, downscale, feature_length
from alexnet.config import HandMadeConfig
from alexnet.data.dataset import ImageDataset
from alexnet.data.image import UNREADABLE
from alexnet.data.prefetch import prefetch_map
from alexnet.errors import UserError
from alexnet.parent import exit_with_parent
from alexnet.terminal import progress_bar

BLOCK = 1024  # images whose features are copied at a time
CHUNK = 32  # images that a process computes features of at a time


@dataclass(frozen=True)
class FeatureMatrix:
    """`features` (N, length) and `labels` (N,) of the readable images of a split.

    The features are mapped from a file, as those of ImageNet take 44 GB. The file has no name: it is deleted
    once nothing refers to it any more, however the process ends. `seconds` is how long extraction took.
    """

    features: NDArray[np.float32]
    labels: NDArray[np.int64]
    seconds: float

    def blocks(self) -> Iterator[slice]:
        """Yield slices of `BLOCK` rows, so that not all rows need be in memory at once."""
        for first in range(0, len(self.labels), BLOCK):
            yield slice(first, first + BLOCK)


@dataclass(frozen=True)
class FeatureExtractor:
    """Extraction of features by `workers` processes, from images of `resize_size`, into a file in `folder`.

    `check` is called after each chunk of images, and may raise an error that ends the extraction.
    """

    config: HandMadeConfig
    resize_size: int
    workers: int
    folder: Path
    check: Callable[[], None]

    def extract(self, images: ImageDataset, split: str) -> FeatureMatrix:
        """Return the features of all readable images of a split. Raises `OSError` where the disk is full."""
        began = time.perf_counter()
        labels = []
        chunks = [range(first, min(first + CHUNK, len(images))) for first in range(0, len(images), CHUNK)]
        with (
            tempfile.TemporaryFile(dir=self.folder) as file,
            feature_pool(self.workers) as compute,
            progress_bar(f"Features of the {split} images", len(images)) as advance,
        ):

            def extract_chunk(rows: range) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
                batch, of_chunk = self._read(images, rows)
                return compute(batch[of_chunk != UNREADABLE], self.config), of_chunk

            # two threads for each process: one reads while the other waits for features
            threads = 2 * self.workers
            with closing(prefetch_map(extract_chunk, chunks, threads, 2 * threads)) as extracted:
                for features, of_chunk in extracted:
                    self.check()
                    file.write(features.tobytes())
                    labels.append(of_chunk[of_chunk != UNREADABLE])
                    advance(len(of_chunk))
            file.flush()
            shape = (sum(map(len, labels)), feature_length(self.config))
            matrix = (
                np.memmap(file, np.float32, "r+", shape=shape) if shape[0] else np.empty(shape, np.float32)
            )
        return FeatureMatrix(matrix, np.concatenate(labels), time.perf_counter() - began)

    def _read(self, images: ImageDataset, rows: range) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """Return images (N, 3, image_size, image_size) and labels (N,), `UNREADABLE` where one is not."""
        size, resize_size = self.config.image_size, self.resize_size
        image = np.empty((3, resize_size, resize_size), np.uint8)
        batch = np.empty((len(rows), 3, size, size), np.uint8)
        labels = np.empty(len(rows), np.int64)
        for index, row in enumerate(rows):
            labels[index] = images.read(row, image)
            batch[index] = downscale(image, size)
        return batch, labels


ComputeFeatures = Callable[[NDArray[np.uint8], HandMadeConfig], NDArray[np.float32]]


@contextmanager
def feature_pool(workers: int) -> Iterator[ComputeFeatures]:
    """Yield `compute_features`, run by `workers` processes, to be called from any number of threads.

    Without workers it runs in this process. Raises `UserError` where a process was killed.
    """
    if workers == 0:
        yield compute_features
        return
    # fork would copy the threads' locks, and what torch has begun
    pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_init_worker)

    def compute_in_worker(images: NDArray[np.uint8], config: HandMadeConfig) -> NDArray[np.float32]:
        try:
            return pool.submit(compute_features, images, config).result()
        except BrokenProcessPool as error:
            raise UserError(
                "A process that computes features was killed, perhaps for lack of memory. Try fewer:"
                f" data.workers={max(0, workers // 2)}."
            ) from error

    try:
        yield compute_in_worker
    finally:
        pool.shutdown(cancel_futures=True)


def _init_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes: the main one decides
    exit_with_parent()
