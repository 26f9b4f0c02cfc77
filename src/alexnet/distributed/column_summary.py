"""Summary of what each column's device holds and sends, layer by layer."""

from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.tensor import DTensor

from alexnet.distributed.comm_volume import CommVolumeMode
from alexnet.models.alexnet import AlexNet


@dataclass(frozen=True)
class LayerSummary:
    """One layer of a column, as its device holds it. Bytes are for one image."""

    name: str
    shape: tuple[int, ...]  # of its output: maps, height and width, or units
    parameters: int
    sent_before: int = 0  # this column's part of the input, to the other columns' devices
    sent_after: int = 0  # to sum the columns' outputs

    @property
    def sent(self) -> int:
        """Bytes that the device sends to the others in the forward pass."""
        return self.sent_before + self.sent_after


Column = list[LayerSummary]


def summarize_columns(network: AlexNet, columns: DeviceMesh) -> list[Column]:
    """Summarize every column; called by all devices together. `columns` is the mesh of the split."""
    summaries: list[Column] = [[]] * columns.size()
    distributed.all_gather_object(summaries, summarize_column(network, columns), columns.get_group())
    return summaries


def summarize_column(network: AlexNet, columns: DeviceMesh) -> Column:
    """Summarize this device's column: the image, then the layers with weights and the poolings.

    Runs a blank image through the network, on all devices at once.
    """
    group = columns.get_group().group_name
    size, device = network.config.image_size, next(network.parameters()).device
    image = torch.zeros(1, 3, size, size, device=device)
    column: Column = [LayerSummary("image", tuple(image.shape[1:]), 0)]

    def record(name: str, layer: nn.Module, _: Any, output: Tensor) -> None:
        sent = [collective for collective in comm.collectives if collective.group == group]
        comm.collectives.clear()
        before = sum(collective.sent for collective in sent if collective.kind == "all_gather")
        after = sum(collective.sent for collective in sent) - before
        column.append(LayerSummary(name, tuple(output.shape[1:]), _parameters_held(layer), before, after))

    was_training = network.training
    with ExitStack() as hooks, torch.no_grad(), CommVolumeMode() as comm:
        for name, layer in network.named_modules():
            is_pool = isinstance(layer, nn.MaxPool2d)
            if is_pool or next(layer.parameters(recurse=False), None) is not None:
                hook = layer.register_forward_hook(partial(record, "pool" if is_pool else name))
                hooks.callback(hook.remove)
        network.eval()(image)
        network.train(was_training)
    return column


def _parameters_held(layer: nn.Module) -> int:
    parameters = (parameter.detach() for parameter in layer.parameters(recurse=False))
    return sum((p.to_local() if isinstance(p, DTensor) else p).numel() for p in parameters)
