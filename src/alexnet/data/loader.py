"""Batches of images, read ahead by threads and copied ahead to a GPU."""

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from alexnet.data.dataset import UNREADABLE, ImageDataset
from alexnet.data.sampling import GlobalBatchSampler
from alexnet.errors import UserError


class Batch(NamedTuple):
    """Squares (N, 3, size, size) uint8, labels (N,) int64, and the indices (N,) of the samples.

    The labels are on the CPU, where unreadable images are counted; the squares may be on a GPU.
    """

    squares: Tensor
    labels: Tensor
    indices: NDArray[np.int64]


PART = 16  # images of a batch that one thread reads
AHEAD = 2  # batches that are read while one is used


class BatchLoader:
    """This rank's batches of an epoch, in order, for Lightning in the place of a DataLoader.

    `position` says with which epoch and which of its batches to begin, and is asked when the first
    batch is: an epoch that was interrupted goes on where it stopped.
    Where `device` is a GPU the squares are copied there while it computes.
    """

    def __init__(
        self,
        images: ImageDataset,
        batches: GlobalBatchSampler,
        *,
        size: int,
        workers: int,
        position: Callable[[], tuple[int, int]],
        device: torch.device | None = None,
    ) -> None:
        self.images, self.batches, self.size = images, batches, size
        self.workers, self.position = workers, position
        self.gpu = device if device is not None and device.type == "cuda" else None

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[Batch]:
        epoch, first = self.position()
        parts_ahead = AHEAD * -(-self.batches.largest // PART)
        read = prefetch_map(self._read, self._parts(epoch, first), self.workers, parts_ahead)
        batches = (batch for batch, last in read if last)
        yield from prefetch_to_cuda(batches, self.gpu) if self.gpu else batches

    def _parts(self, epoch: int, first: int) -> Iterator[tuple[Batch, slice]]:
        pinned = self.gpu is not None  # or it could not be copied while the GPU computes
        for indices in self.batches.of_epoch(epoch, first):
            count = len(indices)
            squares = torch.empty((count, 3, self.size, self.size), dtype=torch.uint8, pin_memory=pinned)
            batch = Batch(squares, torch.empty(count, dtype=torch.int64, pin_memory=pinned), indices)
            for start in range(0, count, PART):
                yield batch, slice(start, min(start + PART, count))

    def _read(self, part: tuple[Batch, slice]) -> tuple[Batch, bool]:
        """Fill some rows of a batch. Returns the batch, and whether these are its last rows."""
        batch, rows = part
        squares, labels = batch.squares.numpy(), batch.labels.numpy()
        for row in range(rows.start, rows.stop):
            labels[row] = self.images.read(int(batch.indices[row]), squares[row])
        return batch, rows.stop == len(labels)

    def state_dict(self) -> dict[str, Any]:
        """For Lightning, which then knows that an epoch can be gone on with; `position` has the rest."""
        return {"samples": self.batches.samples, "batch_size": self.batches.batch_size}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Raises `UserError` where the epoch that was stopped was made of other batches."""
        ours = self.state_dict()
        if state != ours:
            raise UserError(
                f"The run was stopped in an epoch of {state['samples']:,} images in batches of"
                f" {state['batch_size']}, and cannot go on with {ours['samples']:,} in batches of"
                f" {ours['batch_size']}."
            )


def read_batches(
    images: ImageDataset, indices: NDArray[np.int64], size: int, batch_size: int
) -> Iterator[tuple[NDArray[np.int64], Tensor, Tensor]]:
    """Indices (N,), squares (N, 3, size, size) uint8 and labels (N,) of the images that can be read.

    `images.unreadable` says of the others why.
    """

    def read(index: np.int64) -> tuple[NDArray[np.uint8], int]:
        square = np.empty((3, size, size), np.uint8)
        return square, images.read(int(index), square)

    parts = np.split(indices, range(batch_size, len(indices), batch_size))
    read_ahead = prefetch_map(read, indices, os.cpu_count() or 1, 2 * batch_size)
    for part in parts:
        squares, labels = zip(*(next(read_ahead) for _ in part), strict=True)
        there = np.array(labels) != UNREADABLE
        chosen = torch.from_numpy(np.stack(squares)[there])
        yield part[there], chosen, torch.tensor(labels)[torch.from_numpy(there)]


Item = TypeVar("Item")
Result = TypeVar("Result")


def prefetch_map(
    function: Callable[[Item], Result], items: Iterable[Item], workers: int, ahead: int
) -> Generator[Result, None, None]:
    """`function` of each item, in order, by `workers` threads that are up to `ahead` items ahead.

    Without workers each is done when it is asked for. (Executor.map takes in all items at once.)
    """
    if workers == 0:
        yield from map(function, items)
        return
    pool = ThreadPoolExecutor(workers)
    begun: deque[Future[Result]] = deque()
    try:
        for item in items:
            begun.append(pool.submit(function, item))
            if len(begun) > ahead:
                yield begun.popleft().result()
        while begun:
            yield begun.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def move_to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """A tensor on the device, without waiting for what that is doing where that is safe.

    CUDA has taken in memory that is not pinned when the call returns. MPS may read it later, when it has
    been freed and used again (pytorch#189690).
    """
    return tensor.to(device, non_blocking=device.type == "cuda")


def prefetch_to_cuda(batches: Iterable[Batch], device: torch.device) -> Iterator[Batch]:
    """Batches with their squares on a GPU: the next one is copied, from pinned memory, while one is used."""
    copying = torch.cuda.Stream(device)

    def copied(batch: Batch) -> tuple[Batch, torch.cuda.Event]:
        with torch.cuda.stream(copying):
            squares = move_to_device(batch.squares, device)
            return batch._replace(squares=squares), copying.record_event()

    def ready(batch: Batch, arrived: torch.cuda.Event) -> Batch:
        using = torch.cuda.current_stream(device)
        using.wait_event(arrived)
        batch.squares.record_stream(using)  # or its memory might be used again while it still is
        return batch

    waiting = None
    for batch in batches:
        coming = copied(batch)
        if waiting is not None:
            yield ready(*waiting)
        waiting = coming
    if waiting is not None:
        yield ready(*waiting)
