"""What the processes of a run tell each other, beside gradients."""

from typing import Any

from torch import distributed, tensor
from torch.distributed import ReduceOp


def gathered(value: Any) -> list[Any]:
    """What each rank has, in the order of the ranks, on all of them. `value` is plain data."""
    if not _several():
        return [value]
    values: list[Any] = [None] * distributed.get_world_size()
    distributed.all_gather_object(values, value)
    return values


def largest(number: int) -> int:
    """The largest of the numbers that the ranks have. Waits for all."""
    return max(gathered(number))


class Agreement:
    """The largest of the numbers that the ranks wish for, so that all do the same at the same step.

    Over a group of its own on the CPU: a device is not waited for.
    """

    def __init__(self) -> None:
        self._group: Any = distributed.new_group(backend="gloo") if _several() else None
        self._pending: Any = None

    def soon(self, wish: int) -> int:
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

    def now(self, wish: int) -> int:
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


def _several() -> bool:
    return distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1
