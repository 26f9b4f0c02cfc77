"""What each column's device holds and sends, as plain data."""

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
    """A layer of a column, as the device that holds it has it. Bytes are those of one image."""

    name: str
    shape: tuple[int, ...]  # of its output: maps, height and width, or units
    parameters: int
    sent_before: int = 0  # to the other columns' devices, which need this column's part of the input
    sent_after: int = 0  # to add up the columns' outputs

    @property
    def sent(self) -> int:
        """Bytes that the device sends the others, in the forward pass."""
        return self.sent_before + self.sent_after


Column = list[LayerSummary]


def summarize_columns(network: AlexNet, columns: DeviceMesh) -> list[Column]:
    """Every column; all devices call it together. `columns` is the mesh that it was split over."""
    found: list[Column] = [[]] * columns.size()
    distributed.all_gather_object(found, summarize_column(network, columns), columns.get_group())
    return found


def summarize_column(network: AlexNet, columns: DeviceMesh) -> Column:
    """This device's column: the image, then the layers with weights and the poolings.

    They are those that an empty image meets on its way through the network, in all devices at once.
    """
    group = columns.get_group().group_name
    size, device = network.config.image_size, next(network.parameters()).device
    image = torch.zeros(1, 3, size, size, device=device)
    found: Column = [LayerSummary("image", tuple(image.shape[1:]), 0)]

    def seen(name: str, layer: nn.Module, _: Any, output: Tensor) -> None:
        sent = [each for each in traffic.collectives if each.group == group]
        traffic.collectives.clear()
        before = sum(each.sent for each in sent if each.kind == "all_gather")
        after = sum(each.sent for each in sent) - before
        found.append(LayerSummary(name, tuple(output.shape[1:]), _parameters_held(layer), before, after))

    was_training = network.training
    with ExitStack() as hooks, torch.no_grad(), CommVolumeMode() as traffic:
        for name, layer in network.named_modules():
            pools = isinstance(layer, nn.MaxPool2d)
            if pools or next(layer.parameters(recurse=False), None) is not None:
                hook = layer.register_forward_hook(partial(seen, "pool" if pools else name))
                hooks.callback(hook.remove)
        network.eval()(image)
        network.train(was_training)
    return found


def _parameters_held(layer: nn.Module) -> int:
    parameters = (each.detach() for each in layer.parameters(recurse=False))
    return sum((each.to_local() if isinstance(each, DTensor) else each).numel() for each in parameters)
