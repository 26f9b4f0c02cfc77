"""Batches on a GPU before they are asked for."""

from collections.abc import Iterable, Iterator

import torch

from alexnet.data.batch import Batch


def copied_ahead(batches: Iterable[Batch], device: torch.device) -> Iterator[Batch]:
    """Batches with their squares on a GPU: the next one is copied, from pinned memory, while one is used."""
    copying = torch.cuda.Stream(device)

    def copied(batch: Batch) -> tuple[Batch, torch.cuda.Event]:
        with torch.cuda.stream(copying):
            squares = batch.squares.to(device, non_blocking=True)
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
