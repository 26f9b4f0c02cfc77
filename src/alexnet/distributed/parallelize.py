"""A network divided over devices: its columns, as in 2012 (paper §3.2, figure 2), and FSDP."""

import logging

from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, Partial, Placement, Replicate, Shard, distribute_tensor
from torch.nn import functional

from alexnet.models.alexnet import AlexNet, ColumnsLinear
from alexnet.models.lrn import LocalResponseNorm

Layer = nn.Conv2d | nn.Linear | ColumnsLinear


def apply_column_parallel(network: AlexNet, mesh: DeviceMesh) -> None:
    """Leave on each device of a one-dimensional `mesh` the column of its number, and nothing else.

    Weights become DTensors, sharded by their output maps and units; the last layer's by its inputs,
    so that each device works out its column's share of the logits. What the columns exchange: maps
    before conv3, activities before fc6 and fc7, shares of the logits; in the backward pass the
    gradients of the same. Where columns do not communicate, only the logits. Parameters keep
    their names, and torch.distributed.checkpoint gathers them.
    """
    columns, column = mesh.size(), mesh.get_local_rank()
    network.drop5.first_unit = column * _inputs_of_column(network.fc6, columns)
    network.drop6.first_unit = column * network.fc6.weight.shape[0] // columns
    network.drop7.first_unit = column * network.fc7.weight.shape[0] // columns
    for module in network.modules():
        if isinstance(module, LocalResponseNorm):
            module.columns = 1  # all maps here are of one
    for name, layer in list(network.named_children()):
        if name == "fc8":
            setattr(network, name, RowParallelLinear(network.fc8, mesh))
        elif isinstance(layer, nn.Conv2d):
            setattr(
                network,
                name,
                ColumnParallelConv2d(layer, mesh, gathers=name != "conv1" and layer.groups == 1),
            )
        elif isinstance(layer, nn.Linear | ColumnsLinear):
            setattr(network, name, ColumnParallelLinear(layer, mesh, gathers=isinstance(layer, nn.Linear)))


class _ColumnParallel(nn.Module):
    """The part of a layer that makes this device's maps or units."""

    weight: nn.Parameter
    bias: nn.Parameter

    def __init__(self, layer: Layer, mesh: DeviceMesh, gathers: bool) -> None:
        super().__init__()
        self.mesh, self.gathers = mesh, gathers
        self.weight = _sharded(layer.weight, mesh, Shard(0))
        self.bias = _sharded(layer.bias, mesh, Shard(0))

    def inputs(self, x: Tensor) -> Tensor:
        """This column's, or both columns' side by side."""
        return _all_gather_maps(x, self.mesh) if self.gathers else x


class ColumnParallelConv2d(_ColumnParallel):
    """Of a convolution."""

    def __init__(self, layer: nn.Conv2d, mesh: DeviceMesh, gathers: bool) -> None:
        super().__init__(layer, mesh, gathers)
        self.stride, self.padding = layer.stride, layer.padding

    def forward(self, x: Tensor) -> Tensor:
        return functional.conv2d(
            self.inputs(x), _local(self.weight), _local(self.bias), self.stride, self.padding
        )


class ColumnParallelLinear(_ColumnParallel):
    """Of a fully connected layer."""

    def forward(self, x: Tensor) -> Tensor:
        return functional.linear(self.inputs(x), _local(self.weight).flatten(1), _local(self.bias))


class RowParallelLinear(nn.Module):
    """The last layer: the logits are the sum of what each column's units give."""

    def __init__(self, layer: nn.Linear, mesh: DeviceMesh) -> None:
        super().__init__()
        self.mesh = mesh
        self.weight = _sharded(layer.weight, mesh, Shard(1))
        self.bias = _sharded(layer.bias, mesh, Replicate())

    def forward(self, x: Tensor) -> Tensor:
        share = functional.linear(x, _local(self.weight))
        return _all_reduce_sum(share, self.mesh) + _local(self.bias)


def _inputs_of_column(layer: Layer, columns: int) -> int:
    inputs = layer.weight.shape[1]
    return inputs if isinstance(layer, ColumnsLinear) else inputs // columns


def _sharded(parameter: Tensor | None, mesh: DeviceMesh, placement: Placement) -> nn.Parameter:
    assert parameter is not None
    return nn.Parameter(distribute_tensor(parameter.detach(), mesh, [placement]))


def _local(parameter: Tensor) -> Tensor:
    assert isinstance(parameter, DTensor)
    return parameter.to_local()


def _all_gather_maps(x: Tensor, mesh: DeviceMesh) -> Tensor:
    """Each device's x (N, C, ...), one after the other: (N, devices C, ...), the same on each."""
    whole = DTensor.from_local(x, mesh, [Shard(1)]).redistribute(placements=[Replicate()])
    # each device's layer adds its own to the gradient
    return whole.to_local(grad_placements=[Partial()])


def _all_reduce_sum(x: Tensor, mesh: DeviceMesh) -> Tensor:
    """The sum of each device's x, the same on each."""
    # every device works out the same loss from it, so that its gradient is each one's whole gradient
    return DTensor.from_local(x, mesh, [Partial()]).redistribute(placements=[Replicate()]).to_local()


def parallelize(network: nn.Module, mesh: DeviceMesh) -> None:
    """Divide `network` over a mesh with the dimensions data_parallel and tensor_parallel.

    Each device of the second holds a column; where the first has several devices, each of them holds a
    part of every layer and fetches the others' when it needs them (FSDP2).
    """
    # on gathering a checkpoint torch warns, for each parameter, that two steps are slower than one
    logging.getLogger("torch.distributed.tensor._redistribute").setLevel(logging.ERROR)
    columns, copies = mesh["tensor_parallel"], mesh["data_parallel"]
    if columns.size() > 1:
        assert isinstance(network, AlexNet)
        apply_column_parallel(network, columns)
    if copies.size() > 1:
        for layer in network.children():
            if next(layer.parameters(), None) is not None:
                fully_shard(layer, mesh=copies)
        fully_shard(network, mesh=copies)
