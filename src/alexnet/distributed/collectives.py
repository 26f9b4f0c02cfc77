"""Objects gathered from all ranks, consensus among them, and who shares a batch."""

from dataclasses import dataclass
from typing import Any

from lightning import Trainer
from torch import distributed, tensor
from torch.distributed import ReduceOp


def all_gather_object(value: Any) -> list[Any]:
    """What each rank has, in the order of the ranks, on all of them. `value` is plain data."""
    if not _is_distributed():
        return [value]
    values: list[Any] = [None] * distributed.get_world_size()
    distributed.all_gather_object(values, value)
    return values


def all_reduce_max(number: int) -> int:
    """The largest of the numbers that the ranks have. Waits for all."""
    return max(all_gather_object(number))


class RankConsensus:
    """The largest of the numbers that the ranks wish for, so that all do the same at the same step.

    Over a group of its own on the CPU: a device is not waited for.
    """

    def __init__(self) -> None:
        self._group: Any = distributed.new_group(backend="gloo") if _is_distributed() else None
        self._pending: Any = None

    def poll(self, wish: int) -> int:
        """To be called at every step: what was agreed on at the step before, which needs no waiting.

        With one process it is its own wish, at once.
        """
        if self._group is None:
            return wish
        agreed = self._settled()
        wishes = tensor([wish])
        work = distributed.all_reduce(wishes, ReduceOp.MAX, self._group, async_op=True)
        self._pending = (work, wishes)
        return agreed

    def wait(self, wish: int) -> int:
        """What all agree on, when all have been asked."""
        if self._group is None:
            return wish
        self._settled()
        wishes = tensor([wish])
        distributed.all_reduce(wishes, ReduceOp.MAX, self._group)
        return int(wishes)

    def _settled(self) -> int:
        if self._pending is None:
            return 0
        work, wishes = self._pending
        self._pending = None
        work.wait()
        return int(wishes)


def _is_distributed() -> bool:
    return distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1


@dataclass(frozen=True)
class DataParallelGroup:
    """Copies of the network that share a batch. All devices of a copy see the same images.

    `rank` is the number of this process's copy; `group` has one process of each copy, None for all
    processes.
    """

    count: int
    rank: int
    group: Any


def data_parallel_group(trainer: Trainer) -> DataParallelGroup:
    """As many as there are processes, but where several of them hold one network together."""
    mesh = trainer.lightning_module.device_mesh
    if mesh is None:
        return DataParallelGroup(trainer.world_size, trainer.global_rank, None)
    copies = mesh["data_parallel"]
    return DataParallelGroup(copies.size(), copies.get_local_rank(), copies.get_group())
