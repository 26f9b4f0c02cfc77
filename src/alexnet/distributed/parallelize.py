"""Networks divided over devices: by columns, as in 2012 (paper §3.2, figure 2), and by FSDP."""

import logging

from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, Partial, Placement, Replicate, Shard, distribute_tensor
from torch.nn import functional

from alexnet.errors import UserError
from alexnet.models.alexnet import AlexNet, GroupedLinear
from alexnet.models.base import ImageClassifier
from alexnet.models.batch_norm import BatchNorm
from alexnet.models.dropout import Dropout
from alexnet.models.lrn import LocalResponseNorm, SpatialResponseNorm
from alexnet.models.registered import IS_ACTIVATION

Layer = nn.Conv2d | nn.Linear | GroupedLinear

# what divides into columns, apart from activation functions, which act on each unit alone
DIVISIBLE = (
    *(nn.Conv2d, nn.Linear, GroupedLinear, LocalResponseNorm, SpatialResponseNorm, BatchNorm),
    *(nn.MaxPool2d, nn.Identity, Dropout),
)


def check_divisible(network: ImageClassifier) -> None:
    """Raise `UserError` for a layer that `apply_column_parallel` cannot divide."""
    for name, layer in network.named_modules():
        if isinstance(layer, LocalResponseNorm) and layer.columns != network.config.columns:
            raise UserError(
                f"strategy=model_parallel: the windows of {name} cross the columns, which are on different"
                " devices. Choose another strategy, or model.lrn_cross_column=false."
            )
        if next(layer.children(), None) is not None or isinstance(layer, DIVISIBLE):
            continue
        if not hasattr(layer, IS_ACTIVATION) or next(layer.parameters(), None) is not None:
            raise UserError(
                f"strategy=model_parallel: cannot divide {name} ({type(layer).__name__}) into columns. Choose"
                " another strategy, or a network without it."
            )


def apply_column_parallel(network: AlexNet, mesh: DeviceMesh) -> None:
    """Keep on each device of a one-dimensional `mesh` only the column of its index.

    Weights become DTensors, sharded along their output maps or units; those of the last layer along its
    inputs, so that each device computes its column's partial sum of the logits. The columns exchange maps
    before conv3, activations before fc6 and fc7, and the partial logits; in the backward pass, their
    gradients. Without cross-column connections they exchange the logits only. Parameters keep their
    names, and torch.distributed.checkpoint gathers them.
    """
    columns, column = mesh.size(), mesh.get_local_rank()
    network.drop5.first_unit = column * _inputs_of_column(network.fc6, columns)
    network.drop6.first_unit = column * network.fc6.weight.shape[0] // columns
    network.drop7.first_unit = column * network.fc7.weight.shape[0] // columns
    for module in network.modules():
        if isinstance(module, LocalResponseNorm):
            module.columns = 1  # all maps of this device are in one column
        elif isinstance(module, BatchNorm):
            _shard_batch_norm(module, mesh)
    for name, layer in list(network.named_children()):
        if name == "fc8":
            setattr(network, name, RowParallelLinear(network.fc8, mesh))
        elif isinstance(layer, nn.Conv2d):
            setattr(
                network,
                name,
                ColumnParallelConv2d(layer, mesh, gather=name != "conv1" and layer.groups == 1),
            )
        elif isinstance(layer, nn.Linear | GroupedLinear):
            setattr(network, name, ColumnParallelLinear(layer, mesh, gather=isinstance(layer, nn.Linear)))


class _ColumnParallel(nn.Module):
    """The part of a layer that computes this device's maps or units."""

    weight: nn.Parameter
    bias: nn.Parameter

    def __init__(self, layer: Layer, mesh: DeviceMesh, gather: bool) -> None:
        super().__init__()
        self.mesh, self.gather = mesh, gather
        self.weight = _shard(layer.weight, mesh, Shard(0))
        self.bias = _shard(layer.bias, mesh, Shard(0))

    def gather_inputs(self, x: Tensor) -> Tensor:
        """Return this column's inputs, or those of all columns, concatenated."""
        return _all_gather_maps(x, self.mesh) if self.gather else x


class ColumnParallelConv2d(_ColumnParallel):
    """A convolution that computes one column's maps."""

    def __init__(self, layer: nn.Conv2d, mesh: DeviceMesh, gather: bool) -> None:
        super().__init__(layer, mesh, gather)
        self.stride, self.padding = layer.stride, layer.padding

    def forward(self, x: Tensor) -> Tensor:
        return functional.conv2d(
            self.gather_inputs(x), _local(self.weight), _local(self.bias), self.stride, self.padding
        )


class ColumnParallelLinear(_ColumnParallel):
    """A fully connected layer that computes one column's units."""

    def forward(self, x: Tensor) -> Tensor:
        return functional.linear(self.gather_inputs(x), _local(self.weight).flatten(1), _local(self.bias))


class RowParallelLinear(nn.Module):
    """The last layer, whose logits are the sum of each column's contribution."""

    def __init__(self, layer: nn.Linear, mesh: DeviceMesh) -> None:
        super().__init__()
        self.mesh = mesh
        self.weight = _shard(layer.weight, mesh, Shard(1))
        self.bias = _shard(layer.bias, mesh, Replicate())

    def forward(self, x: Tensor) -> Tensor:
        partial = functional.linear(x, _local(self.weight))
        return _all_reduce_sum(partial, self.mesh) + _local(self.bias)


def _shard_batch_norm(norm: BatchNorm, mesh: DeviceMesh) -> None:
    """Keep the parameters and statistics of this device's channels."""
    norm.weight, norm.bias = _shard(norm.weight, mesh, Shard(0)), _shard(norm.bias, mesh, Shard(0))
    for name in ("running_mean", "running_var"):
        norm.register_buffer(name, distribute_tensor(getattr(norm, name), mesh, [Shard(0)]))


def _inputs_of_column(layer: Layer, columns: int) -> int:
    inputs = layer.weight.shape[1]
    return inputs if isinstance(layer, GroupedLinear) else inputs // columns


def _shard(parameter: Tensor | None, mesh: DeviceMesh, placement: Placement) -> nn.Parameter:
    assert parameter is not None
    return nn.Parameter(distribute_tensor(parameter.detach(), mesh, [placement]))


def _local(parameter: Tensor) -> Tensor:
    assert isinstance(parameter, DTensor)
    return parameter.to_local()


def _all_gather_maps(x: Tensor, mesh: DeviceMesh) -> Tensor:
    """Concatenate the devices' x (N, C, ...) to (N, devices * C, ...), the same on each device."""
    whole = DTensor.from_local(x, mesh, [Shard(1)]).redistribute(placements=[Replicate()])
    # each device's layer contributes a part of the gradient
    return whole.to_local(grad_placements=[Partial()])


def _all_reduce_sum(x: Tensor, mesh: DeviceMesh) -> Tensor:
    """Sum the devices' x, the same on each device."""
    # every device computes the same loss from the sum, so its gradient there is already the whole one
    return DTensor.from_local(x, mesh, [Partial()]).redistribute(placements=[Replicate()]).to_local()


def parallelize(network: nn.Module, mesh: DeviceMesh) -> None:
    """Divide `network` over a mesh with the dimensions data_parallel and tensor_parallel.

    Each device along tensor_parallel holds a column. Along data_parallel, if it has several devices, every
    layer is sharded, and gathered when it runs (FSDP2).
    """
    # while a checkpoint is gathered torch warns, for each parameter, that two steps are slower than one
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
