"""The columns of a network on devices of their own, as in 2012 (paper §3.2, figure 2)."""

from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.tensor import DTensor, Partial, Placement, Replicate, Shard, distribute_tensor
from torch.nn import functional

from alexnet.model.lrn import LocalResponseNorm
from alexnet.model.network import AlexNet, ColumnsLinear

Layer = nn.Conv2d | nn.Linear | ColumnsLinear


def split_columns(network: AlexNet, mesh: DeviceMesh) -> None:
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
            setattr(network, name, _SharedLogits(network.fc8, mesh))
        elif isinstance(layer, nn.Conv2d):
            setattr(network, name, _ColumnConv(layer, mesh, gathers=name != "conv1" and layer.groups == 1))
        elif isinstance(layer, nn.Linear | ColumnsLinear):
            setattr(network, name, _ColumnLinear(layer, mesh, gathers=isinstance(layer, nn.Linear)))


class _Column(nn.Module):
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
        return _side_by_side(x, self.mesh) if self.gathers else x


class _ColumnConv(_Column):
    """Of a convolution."""

    def __init__(self, layer: nn.Conv2d, mesh: DeviceMesh, gathers: bool) -> None:
        super().__init__(layer, mesh, gathers)
        self.stride, self.padding = layer.stride, layer.padding

    def forward(self, x: Tensor) -> Tensor:
        return functional.conv2d(
            self.inputs(x), _local(self.weight), _local(self.bias), self.stride, self.padding
        )


class _ColumnLinear(_Column):
    """Of a fully connected layer."""

    def forward(self, x: Tensor) -> Tensor:
        return functional.linear(self.inputs(x), _local(self.weight).flatten(1), _local(self.bias))


class _SharedLogits(nn.Module):
    """The last layer: the logits are the sum of what each column's units give."""

    def __init__(self, layer: nn.Linear, mesh: DeviceMesh) -> None:
        super().__init__()
        self.mesh = mesh
        self.weight = _sharded(layer.weight, mesh, Shard(1))
        self.bias = _sharded(layer.bias, mesh, Replicate())

    def forward(self, x: Tensor) -> Tensor:
        share = functional.linear(x, _local(self.weight))
        return _sum(share, self.mesh) + _local(self.bias)


def _inputs_of_column(layer: Layer, columns: int) -> int:
    inputs = layer.weight.shape[1]
    return inputs if isinstance(layer, ColumnsLinear) else inputs // columns


def _sharded(parameter: Tensor | None, mesh: DeviceMesh, placement: Placement) -> nn.Parameter:
    assert parameter is not None
    return nn.Parameter(distribute_tensor(parameter.detach(), mesh, [placement]))


def _local(parameter: Tensor) -> Tensor:
    assert isinstance(parameter, DTensor)
    return parameter.to_local()


def _side_by_side(x: Tensor, mesh: DeviceMesh) -> Tensor:
    """Each device's x (N, C, ...), one after the other: (N, devices C, ...), the same on each."""
    whole = DTensor.from_local(x, mesh, [Shard(1)]).redistribute(placements=[Replicate()])
    # each device's layer adds its own to the gradient
    return whole.to_local(grad_placements=[Partial()])


def _sum(x: Tensor, mesh: DeviceMesh) -> Tensor:
    """The sum of each device's x, the same on each."""
    # every device works out the same loss from it, so that its gradient is each one's whole gradient
    return DTensor.from_local(x, mesh, [Partial()]).redistribute(placements=[Replicate()]).to_local()
