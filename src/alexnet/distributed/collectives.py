"""Exchanges between ranks: gathered objects, consensus, and the data-parallel group."""

from dataclasses import dataclass
from typing import Any

from lightning import Trainer
from torch import distributed, tensor
from torch.distributed import ReduceOp


def all_gather_object(value: Any) -> list[Any]:
    """Gather the values of all ranks, in their order, on every rank. `value` is any picklable object."""
    if not _is_distributed():
        return [value]
    values: list[Any] = [None] * distributed.get_world_size()
    distributed.all_gather_object(values, value)
    return values


def all_reduce_max(number: int) -> int:
    """Return the largest of all ranks' numbers. Blocks until every rank has called it."""
    return max(all_gather_object(number))


class RankConsensus:
    """Agreement of all ranks on the largest number requested by any, so that all act at the same step.

    Uses its own gloo group on the CPU, so that it never waits for a device.
    """

    def __init__(self) -> None:
        self._group: Any = distributed.new_group(backend="gloo") if _is_distributed() else None
        self._pending: Any = None

    def poll(self, request: int) -> int:
        """Submit `request` without blocking, and return the number agreed on at the previous step.

        Every rank calls it at every step. With a single process it returns `request` at once.
        """
        if self._group is None:
            return request
        agreed = self._finish_pending()
        requests = tensor([request])
        work = distributed.all_reduce(requests, ReduceOp.MAX, self._group, async_op=True)
        self._pending = (work, requests)
        return agreed

    def wait(self, request: int) -> int:
        """Submit `request` and block until every rank has; return the number agreed on."""
        if self._group is None:
            return request
        self._finish_pending()
        requests = tensor([request])
        distributed.all_reduce(requests, ReduceOp.MAX, self._group)
        return int(requests)

    def _finish_pending(self) -> int:
        if self._pending is None:
            return 0
        work, requests = self._pending
        self._pending = None
        work.wait()
        return int(requests)


def _is_distributed() -> bool:
    return distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1


@dataclass(frozen=True)
class DataParallelGroup:
    """The copies of the network that share a batch. All devices of a copy see the same images.

    `rank` is the index of this process's copy; `group` holds one process of each copy, None stands for all
    processes.
    """

    count: int
    rank: int
    group: Any


def data_parallel_group(trainer: Trainer) -> DataParallelGroup:
    """Return the group of copies: one for each process, unless several processes hold one copy together."""
    mesh = trainer.lightning_module.device_mesh
    if mesh is None:
        return DataParallelGroup(trainer.world_size, trainer.global_rank, None)
    copies = mesh["data_parallel"]
    return DataParallelGroup(copies.size(), copies.get_local_rank(), copies.get_group())
