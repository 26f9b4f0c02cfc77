"""The bytes that collectives send."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch._C._distributed_c10d import _resolve_process_group
from torch.distributed import ProcessGroup
from torch.distributed.tensor import DTensor
from torch.utils._python_dispatch import TorchDispatchMode

# torch's operations, those of DTensor and those of DDP and FSDP
KINDS = {
    "all_gather_into_tensor": "all_gather",
    "_allgather_base_": "all_gather",
    "reduce_scatter_tensor": "reduce_scatter",
    "_reduce_scatter_base_": "reduce_scatter",
    "all_reduce": "all_reduce",
    "allreduce_": "all_reduce",
}
SILENT = ("wait_tensor", "_wrap_tensor_autograd", "barrier")


@dataclass(frozen=True)
class Collective:
    """One exchange within a group of devices, as this device takes part in it."""

    kind: str  # all_gather, reduce_scatter or all_reduce
    group: str  # the group's name
    backward: bool
    sent: int  # bytes that this device hands to others


class CommVolumeMode(TorchDispatchMode):
    """Lists the collectives of whatever runs inside it.

        with Traffic() as traffic:
            loss = network(images).sum()
            loss.backward()
        sum(collective.sent for collective in traffic.collectives)

    Bytes are those of a ring of d devices: each sends (d - 1) n to gather tensors of n bytes from each,
    (d - 1) / d n to add up tensors of n bytes and keep its share of the sum, and twice that to have the
    whole sum. Other algorithms send other amounts. Raises `NotImplementedError` for a collective
    that it cannot count.
    """

    def __init__(self) -> None:
        super().__init__()
        self.collectives: list[Collective] = []

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        if any(issubclass(kind, DTensor) for kind in types):
            return NotImplemented  # DTensor comes back with the collectives that it makes of this
        kwargs = kwargs or {}
        if func.namespace in ("c10d", "_c10d_functional"):
            self._count(func, args, kwargs)
        return func(*args, **kwargs)

    def _count(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        name = func.name().partition("::")[2].partition(".")[0]
        if name in SILENT:
            return
        if name not in KINDS:
            raise NotImplementedError(f"Traffic cannot tell what {func} sends.")
        given = dict(zip((argument.name for argument in func._schema.arguments), args, strict=False)) | kwargs
        group = _group(given)
        size = _size(next(given[key] for key in ("input", "input_tensor", "tensors") if key in given))
        backward = torch._C._current_graph_task_id() != -1
        sent = _sent(KINDS[name], size, group.size())
        self.collectives.append(Collective(KINDS[name], group.group_name, backward, sent))


def _sent(kind: str, size: int, devices: int) -> int:
    if kind == "all_gather":
        return (devices - 1) * size
    return (1 if kind == "reduce_scatter" else 2) * (devices - 1) * size // devices


def _group(given: dict[str, Any]) -> ProcessGroup:
    group: Any = given["group_name"] if "group_name" in given else ProcessGroup.unbox(given["process_group"])
    return group if isinstance(group, ProcessGroup) else _resolve_process_group(group)


def _size(tensors: Tensor | Sequence[Tensor]) -> int:
    return sum(tensor.nbytes for tensor in ([tensors] if isinstance(tensors, Tensor) else tensors))
