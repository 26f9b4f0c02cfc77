"""Dropout with masks that are a function of the image and the unit, on every device."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from alexnet.models.families.alexnet import DropoutScaling

BITS = 32
_MASK = 2**BITS - 1


class Dropout(nn.Module):
    """Zero each activation with probability `p` in training.

    With scaling `test` all activations are multiplied by `1 - p` at test time (paper §4.2; 2012 source,
    src/layer.cu). With `train`, as in torch, the remaining ones are multiplied by `1 / (1 - p)` in
    training: the expected input to the next layer is that of test time in both cases, but the activations
    are larger, so that the same initial weights and learning rate train differently.

    `number` identifies the layer within the network. `first_unit` is the index, in the whole layer, of
    the first unit that `forward` receives: not 0 if the layer is split over devices.
    """

    def __init__(self, p: float, scaling: DropoutScaling, number: int) -> None:
        super().__init__()
        self.p, self.scaling, self.number = p, scaling, number
        self.first_unit = 0

    def forward(self, x: Tensor, dropout_seeds: Tensor | None = None) -> Tensor:
        """Drop units of x (N, units). `dropout_seeds` (N,) are integers below 2^32, one per image.

        The same seed gives the same mask on every device, in any batch. Without seeds, masks are drawn from
        torch's default generator.
        """
        if self.p == 0:
            return x
        if not self.training:
            return x * (1 - self.p) if self.scaling is DropoutScaling.test else x
        if dropout_seeds is not None:
            kept = self._random_integers(dropout_seeds, x.shape[1]) >= int(self.p * 2**BITS)
        elif self.scaling is DropoutScaling.train:
            return functional.dropout(x, self.p)
        else:
            kept = torch.rand_like(x, dtype=torch.float32) >= self.p
        x = x * kept
        return x / (1 - self.p) if self.scaling is DropoutScaling.train else x

    def _random_integers(self, dropout_seeds: Tensor, units: int) -> Tensor:
        """Compute uniform integers below 2^32, (N, units), from the seeds."""
        unit = torch.arange(self.first_unit, self.first_unit + units, device=dropout_seeds.device)
        return _hash(dropout_seeds[:, None] ^ _hash(unit + (self.number << 24) + 1))

    def extra_repr(self) -> str:
        return f"p={self.p}, scaling={self.scaling.value}"


def _hash(x: Tensor) -> Tensor:
    """Permute the integers below 2^32 such that each bit of x changes half of the bits on average.

    Thomas Mueller's integer hash. Its factor is small enough that no product overflows int64.
    """
    for _ in range(2):
        x = ((x ^ (x >> 16)) * 0x45D9F3B) & _MASK
    return x ^ (x >> 16)
