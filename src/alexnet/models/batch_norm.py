"""Batch normalization over the global batch, on any device, with channels that may be divided."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.nn.functional import all_reduce
from torch.distributed.tensor import DTensor
from torch.nn import functional


class BatchNorm(nn.BatchNorm2d):
    """Batch normalization (Ioffe and Szegedy, ICML 2015) of (N, channels, H, W).

    In training, once `synchronize_batch_norm` has been called, mean and variance are those of the batches of
    all ranks of a group together, whose sizes may differ. torch's SyncBatchNorm does so on GPUs alone.
    Parameters and statistics may be DTensors, divided along the channels.
    """

    momentum: float  # of the running statistics
    synchronized = False
    group: Any = None

    def forward(self, x: Tensor) -> Tensor:
        weight, bias = _local(self.weight), _local(self.bias)
        mean, var = _local_buffer(self.running_mean), _local_buffer(self.running_var)
        if self.training and self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
        if not (self.training and self.synchronized):
            return functional.batch_norm(x, mean, var, weight, bias, self.training, self.momentum, self.eps)
        return self._normalize_together(x, mean, var, weight, bias)

    def _normalize_together(
        self, x: Tensor, running_mean: Tensor, running_var: Tensor, weight: Tensor, bias: Tensor
    ) -> Tensor:
        exact = x.to(torch.promote_types(x.dtype, torch.float32))  # as in torch's own
        axes = (0, 2, 3)
        count = exact.new_tensor([x.numel() / x.shape[1]])
        totals = self._sum(torch.cat([exact.sum(axes), count]))
        count = totals[-1].detach()
        mean = totals[:-1] / count
        centered = exact - mean[:, None, None]
        var = self._sum(centered.square().sum(axes)) / count
        with torch.no_grad():
            running_mean.lerp_(mean.to(running_mean.dtype), self.momentum)
            running_var.lerp_((var * count / (count - 1)).to(running_var.dtype), self.momentum)
        scale = weight * torch.rsqrt(var + self.eps)
        return (centered * scale[:, None, None] + bias[:, None, None]).to(x.dtype)

    def _sum(self, values: Tensor) -> Tensor:
        """Sum over the ranks; the gradient of a rank's values is the sum of all ranks' gradients."""
        return all_reduce(values) if self.group is None else all_reduce(values, group=self.group)


def synchronize_batch_norm(network: nn.Module, group: Any) -> None:
    """Let a network's batch normalizations use the batches of all ranks of `group`; None: of all ranks."""
    for layer in network.modules():
        if isinstance(layer, BatchNorm):
            layer.synchronized, layer.group = True, group


def _local(value: Any) -> Any:
    return value.to_local() if isinstance(value, DTensor) else value


def _local_buffer(value: Any) -> Any:
    """Return the local tensor itself, to be updated in place: with gradients it would be a view.

    Where nothing is divided there is no `no_grad`, which torch.export does not take.
    """
    if not isinstance(value, DTensor):
        return value
    with torch.no_grad():
        return value.to_local()
