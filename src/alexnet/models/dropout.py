"""Dropout whose masks are a function of the image and the unit, wherever they are computed."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from alexnet.config import DropoutScaling

BITS = 32
_LOW = 2**BITS - 1


class Dropout(nn.Module):
    """Zero each activity with probability `p` in training.

    With scaling `test` all activities are multiplied by `1 - p` at test (paper §4.2; 2012 source,
    src/layer.cu). With `train`, torch's, those that are left are multiplied by `1 / (1 - p)` in
    training: the same function at test, but the next layer is fed more, which is other dynamics for
    the same initial weights and learning rate.

    `number` tells the layers of a network apart. `first_unit` is the number, in the whole layer, of
    the first unit that `forward` is given: not 0 where a layer is split over devices.
    """

    def __init__(self, p: float, scaling: DropoutScaling, number: int) -> None:
        super().__init__()
        self.p, self.scaling, self.number = p, scaling, number
        self.first_unit = 0

    def forward(self, x: Tensor, dropout_seeds: Tensor | None = None) -> Tensor:
        """Drop units of x (N, units). `dropout_seeds` (N,) are whole numbers below 2^32, one an image.

        The same key gives the same mask on every device, in any batch. Without dropout_seeds the masks are
        drawn from torch's generator.
        """
        if self.p == 0:
            return x
        if not self.training:
            return x * (1 - self.p) if self.scaling is DropoutScaling.test else x
        if dropout_seeds is not None:
            kept = self._draws(dropout_seeds, x.shape[1]) >= int(self.p * 2**BITS)
        elif self.scaling is DropoutScaling.train:
            return functional.dropout(x, self.p)
        else:
            kept = torch.rand_like(x, dtype=torch.float32) >= self.p
        x = x * kept
        return x / (1 - self.p) if self.scaling is DropoutScaling.train else x

    def _draws(self, dropout_seeds: Tensor, units: int) -> Tensor:
        """Uniform whole numbers below 2^32, (N, units)."""
        unit = torch.arange(self.first_unit, self.first_unit + units, device=dropout_seeds.device)
        return _mixed(dropout_seeds[:, None] ^ _mixed(unit + (self.number << 24) + 1))

    def extra_repr(self) -> str:
        return f"p={self.p}, scaling={self.scaling.value}"


def _mixed(x: Tensor) -> Tensor:
    """A permutation of the whole numbers below 2^32, in which any bit of x changes half of the bits.

    Thomas Mueller's integer hash. Its factor is small enough that no product leaves int64.
    """
    for _ in range(2):
        x = ((x ^ (x >> 16)) * 0x45D9F3B) & _LOW
    return x ^ (x >> 16)
