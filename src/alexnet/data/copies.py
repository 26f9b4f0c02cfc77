"""Copies from the CPU to a device, and batches on a GPU before they are asked for."""

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from alexnet.data.batch import Batch


def moved(tensor: Tensor, device: torch.device) -> Tensor:
    """A tensor on the device, without waiting for what that is doing where that is safe.

    CUDA has taken in memory that is not pinned when the call returns. MPS may read it later, when it has
    been freed and used again (pytorch#189690).
    """
    return tensor.to(device, non_blocking=device.type == "cuda")


def copied_ahead(batches: Iterable[Batch], device: torch.device) -> Iterator[Batch]:
    """Batches with their squares on a GPU: the next one is copied, from pinned memory, while one is used."""
    copying = torch.cuda.Stream(device)

    def copied(batch: Batch) -> tuple[Batch, torch.cuda.Event]:
        with torch.cuda.stream(copying):
            squares = moved(batch.squares, device)
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
