"""A network on the devices of a mesh."""

import logging

from torch import nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import fully_shard

from alexnet.model.network import AlexNet
from alexnet.placement.columns import split_columns


def place(network: nn.Module, mesh: DeviceMesh) -> None:
    """Divide `network` over a mesh with the dimensions data_parallel and tensor_parallel.

    Each device of the second holds a column; where the first has several devices, each of them holds a
    part of every layer and fetches the others' when it needs them (FSDP2).
    """
    # on gathering a checkpoint torch warns, for each parameter, that two steps are slower than one
    logging.getLogger("torch.distributed.tensor._redistribute").setLevel(logging.ERROR)
    columns, copies = mesh["tensor_parallel"], mesh["data_parallel"]
    if columns.size() > 1:
        assert isinstance(network, AlexNet)
        split_columns(network, columns)
    if copies.size() > 1:
        for layer in network.children():
            if next(layer.parameters(), None) is not None:
                fully_shard(layer, mesh=copies)
        fully_shard(network, mesh=copies)
