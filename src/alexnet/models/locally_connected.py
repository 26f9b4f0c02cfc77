"""Locally connected layers: convolutions that share no weights between positions."""

import torch
from torch import Tensor, nn
from torch.nn import functional


class LocallyConnected2d(nn.Module):
    """A convolution with a filter bank of its own at each position (2012 source, layer type `local`).

    Takes (N, in_channels, side, side), padded with zeros by `kernel_size // 2`, and returns (N, out_channels,
    side, side); the stride is 1. `weight` is (out_channels, side, side, in_channels, kernel_size,
    kernel_size), `bias` is (out_channels, side, side).
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, side: int) -> None:
        super().__init__()
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size, self.side = kernel_size, side
        self.weight = nn.Parameter(
            torch.empty(out_channels, side, side, in_channels, kernel_size, kernel_size)
        )
        self.bias = nn.Parameter(torch.zeros(out_channels, side, side))
        nn.init.normal_(self.weight, std=(in_channels * kernel_size**2) ** -0.5)

    def forward(self, x: Tensor) -> Tensor:
        kernel, side = self.kernel_size, self.side
        border = kernel // 2
        # positions first, maps last: patches are copied in long runs, several times faster than by unfold
        x = functional.pad(x.permute(2, 3, 0, 1), (0, 0, 0, 0, border, border, border, border))
        shifted = [x[i : i + side, j : j + side] for i in range(kernel) for j in range(kernel)]
        patches = torch.cat(shifted, dim=-1).flatten(0, 1)  # (L, N, inputs)
        filters = self.weight.permute(1, 2, 4, 5, 3, 0).reshape(side**2, -1, self.out_channels)
        y = torch.bmm(patches, filters)  # one matrix product for each position
        return y.unflatten(0, (side, side)).permute(2, 3, 0, 1) + self.bias

    def extra_repr(self) -> str:
        return f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, side={self.side}"
