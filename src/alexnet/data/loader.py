"""Batches of images, read ahead by threads and copied ahead to a GPU."""

import functools
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from alexnet.data.dataset import ImageDataset
from alexnet.data.image import UNREADABLE
from alexnet.data.prefetch import prefetch_map
from alexnet.data.sampling import GlobalBatchSampler
from alexnet.errors import UserError


class Batch(NamedTuple):
    """Images (N, 3, size, size) uint8, labels (N,) int64, and the indices (N,) of the samples.

    The labels are on the CPU, where unreadable images are counted; the images may be on a GPU.
    """

    images: Tensor
    labels: Tensor
    indices: NDArray[np.int64]


CHUNK = 16  # images of a batch that a thread reads at a time
AHEAD = 2  # batches that are read ahead
BACKLOG = 2  # batches on whose work a GPU may lag behind this process


class BatchLoader:
    """This rank's batches of an epoch, in order; Lightning uses it in place of a DataLoader.

    `position` returns the epoch and the number of its first batch, and is called at the start of each
    iteration: an interrupted epoch is resumed where it stopped. If `device` is a GPU, images are copied to it
    while it computes. If `gather` is given, it returns the batch of some indices, and nothing is read.
    """

    def __init__(
        self,
        dataset: ImageDataset,
        batches: GlobalBatchSampler,
        *,
        size: int,
        workers: int,
        position: Callable[[], tuple[int, int]],
        device: torch.device | None = None,
        gather: Callable[[NDArray[np.int64]], Batch] | None = None,
    ) -> None:
        self.dataset, self.batches, self.size = dataset, batches, size
        self.workers, self.position, self.gather = workers, position, gather
        self.gpu = device if device is not None and device.type == "cuda" else None

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[Batch]:
        epoch, first = self.position()
        if self.gather is not None:
            yield from map(self.gather, self.batches.of_epoch(epoch, first))
            return
        # of small batches more: each thread needs a chunk
        chunks_ahead = max(AHEAD * -(-self.batches.largest // CHUNK), self.workers)
        read = prefetch_map(self._read, self._chunks(epoch, first), self.workers, chunks_ahead)
        batches = (batch for batch, last in read if last)
        yield from prefetch_to_cuda(batches, self.gpu) if self.gpu else batches

    def _chunks(self, epoch: int, first: int) -> Iterator[tuple[Batch, slice]]:
        pinned = self.gpu is not None  # only pinned memory is copied while the GPU computes
        for indices in self.batches.of_epoch(epoch, first):
            count = len(indices)
            images = torch.empty((count, 3, self.size, self.size), dtype=torch.uint8, pin_memory=pinned)
            batch = Batch(images, torch.empty(count, dtype=torch.int64, pin_memory=pinned), indices)
            for start in range(0, count, CHUNK):
                yield batch, slice(start, min(start + CHUNK, count))

    def _read(self, chunk: tuple[Batch, slice]) -> tuple[Batch, bool]:
        """Fill some rows of a batch. Returns the batch, and whether these are its last rows."""
        batch, rows = chunk
        images, labels = batch.images.numpy(), batch.labels.numpy()
        self.dataset.read_rows(batch.indices[rows], images[rows], labels[rows])
        return batch, rows.stop == len(labels)

    def state_dict(self) -> dict[str, Any]:
        """Return what identifies the batches; with it Lightning resumes the epoch, at `position`."""
        return {"samples": self.batches.samples, "batch_size": self.batches.batch_size}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Raise `UserError` if the interrupted epoch had other batches."""
        current = self.state_dict()
        if state != current:
            raise UserError(
                f"The run was stopped in an epoch of {state['samples']:,} images in batches of"
                f" {state['batch_size']}, and cannot continue with {current['samples']:,} in batches of"
                f" {current['batch_size']}."
            )


def read_batches(
    dataset: ImageDataset, indices: NDArray[np.int64], size: int, batch_size: int
) -> Iterator[tuple[NDArray[np.int64], Tensor, Tensor]]:
    """Yield indices (N,), images (N, 3, size, size) uint8 and labels (N,) of the images that decode.

    `dataset.unreadable` holds the reasons for the others.
    """

    def read(index: np.int64) -> tuple[NDArray[np.uint8], int]:
        image = np.empty((3, size, size), np.uint8)
        return image, dataset.read(int(index), image)

    parts = np.split(indices, range(batch_size, len(indices), batch_size))
    read_ahead = prefetch_map(read, indices, os.cpu_count() or 1, 2 * batch_size)
    for part in parts:
        images, labels = zip(*(next(read_ahead) for _ in part), strict=True)
        readable = np.array(labels) != UNREADABLE
        decoded = torch.from_numpy(np.stack(images)[readable])
        yield part[readable], decoded, torch.tensor(labels)[torch.from_numpy(readable)]


def move_to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """Copy a tensor to a device, without waiting for the device if that is safe.

    CUDA has read unpinned memory when the call returns. MPS may read it later, when it has been freed and
    reused (pytorch#189690).
    """
    return tensor.to(device, non_blocking=device.type == "cuda")


def prefetch_to_cuda(batches: Iterable[Batch], device: torch.device) -> Iterator[Batch]:
    """Yield batches with their images on a GPU, while the next batch is copied from pinned memory.

    Waits where the GPU is more than `BACKLOG` batches behind: each batch that waits for it takes memory.
    """
    copy_stream = _copy_stream(device)
    used: deque[torch.cuda.Event] = deque()  # the ends of the work on the last batches

    def start_copy(batch: Batch) -> tuple[Batch, torch.cuda.Event]:
        with torch.cuda.stream(copy_stream):
            images = move_to_device(batch.images, device)
            return batch._replace(images=images), copy_stream.record_event()

    def wait_for_copy(batch: Batch, copied: torch.cuda.Event) -> Batch:
        current = torch.cuda.current_stream(device)
        current.wait_event(copied)
        batch.images.record_stream(current)  # otherwise its memory might be reused too early
        return batch

    def limit_backlog() -> None:
        end = torch.cuda.Event(blocking=True)  # leaves the core to the threads that read images
        end.record(torch.cuda.current_stream(device))
        used.append(end)
        if len(used) > BACKLOG:
            used.popleft().synchronize()

    pending = None
    for batch in batches:
        started = start_copy(batch)
        if pending is not None:
            yield wait_for_copy(*pending)
            limit_backlog()
        pending = started
    if pending is not None:
        yield wait_for_copy(*pending)


@functools.cache
def _copy_stream(device: torch.device) -> torch.cuda.Stream:
    """Return the device's stream for copies: memory that was allocated on one is not reused by another."""
    return torch.cuda.Stream(device)
