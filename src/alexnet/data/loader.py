"""Batches of squares, read ahead by threads."""

from collections.abc import Callable, Iterator
from typing import Any

import torch

from alexnet.data.batch import Batch
from alexnet.data.copies import copied_ahead
from alexnet.data.dataset import Images
from alexnet.data.order import GlobalBatches
from alexnet.data.threads import map_ahead
from alexnet.errors import UserError

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
        images: Images,
        batches: GlobalBatches,
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
        read = map_ahead(self._read, self._parts(epoch, first), self.workers, parts_ahead)
        batches = (batch for batch, last in read if last)
        yield from copied_ahead(batches, self.gpu) if self.gpu else batches

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
