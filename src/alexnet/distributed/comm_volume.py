"""Bytes sent by collectives."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch._C._distributed_c10d import _resolve_process_group
from torch.distributed import ProcessGroup
from torch.distributed.tensor import DTensor
from torch.utils._python_dispatch import TorchDispatchMode

# operations of DTensor, and of DDP and FSDP
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
    """One collective, as seen by this device."""

    kind: str  # all_gather, reduce_scatter or all_reduce
    group: str  # the group's name
    backward: bool
    sent: int  # bytes that this device sends to others


class CommVolumeMode(TorchDispatchMode):
    """A dispatch mode that lists the collectives issued within it.

        with CommVolumeMode() as comm:
            loss = network(images).sum()
            loss.backward()
        sum(collective.sent for collective in comm.collectives)

    Bytes are those of ring algorithms over d devices: a device sends (d - 1) n to all-gather tensors of n
    bytes, (d - 1) / d n to reduce-scatter them, and twice that to all-reduce them. Other algorithms send
    other amounts. Raises `NotImplementedError` for a collective of another kind.
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
            return NotImplemented  # DTensor dispatches again, with the collectives that it issues
        kwargs = kwargs or {}
        if func.namespace in ("c10d", "_c10d_functional"):
            self._count(func, args, kwargs)
        return func(*args, **kwargs)

    def _count(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        name = func.name().partition("::")[2].partition(".")[0]
        if name in SILENT:
            return
        if name not in KINDS:
            raise NotImplementedError(f"CommVolumeMode cannot count the bytes of {func}.")
        bound = dict(zip((argument.name for argument in func._schema.arguments), args, strict=False)) | kwargs
        group = _group(bound)
        size = _size(next(bound[key] for key in ("input", "input_tensor", "tensors") if key in bound))
        backward = torch._C._current_graph_task_id() != -1
        sent = _sent(KINDS[name], size, group.size())
        self.collectives.append(Collective(KINDS[name], group.group_name, backward, sent))


def _sent(kind: str, size: int, devices: int) -> int:
    if kind == "all_gather":
        return (devices - 1) * size
    return (1 if kind == "reduce_scatter" else 2) * (devices - 1) * size // devices


def _group(bound: dict[str, Any]) -> ProcessGroup:
    group: Any = bound["group_name"] if "group_name" in bound else ProcessGroup.unbox(bound["process_group"])
    return group if isinstance(group, ProcessGroup) else _resolve_process_group(group)


def _size(tensors: Tensor | Sequence[Tensor]) -> int:
    return sum(tensor.nbytes for tensor in ([tensors] if isinstance(tensors, Tensor) else tensors))
