"""Local response normalisation (paper §3.3).

Torch's own module divides alpha by the window, as the 2012 program did; the paper's printed
formula does not. Here alpha is the paper's.
"""

from typing import Any

import torch
from torch import Tensor, nn


def window_sum(x: Tensor, size: int) -> Tensor:
    """Sum over a window of `size` (odd) neighbours in dimension 1, clipped at the ends."""
    total = x.clone()
    for offset in range(1, min(size // 2, x.shape[1] - 1) + 1):
        total[:, offset:] += x[:, :-offset]
        total[:, :-offset] += x[:, offset:]
    return total


def inverse_power(scale: Tensor, beta: float) -> Tensor:
    """`scale ** -beta`; for the paper's beta by square roots, several times faster than pow."""
    if beta == 0.75:
        root = scale.rsqrt()
        return root.sqrt().mul_(root)
    return scale.pow(-beta)


class _LocalResponseNorm(torch.autograd.Function):
    """Saves only the input and the scale; autograd would keep every step of the window sum."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, size: int, k: float, alpha: float, beta: float) -> Tensor:
        scale = window_sum(x.square(), size).mul_(alpha).add_(k)
        ctx.save_for_backward(x, scale)
        ctx.size, ctx.alpha, ctx.beta = size, alpha, beta
        return inverse_power(scale, beta).mul_(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None, None]:
        (grad,) = gradients
        x, scale = ctx.saved_tensors
        power = inverse_power(scale, ctx.beta).mul_(grad)
        shared = window_sum(power.mul(x).div_(scale), ctx.size)
        return power.addcmul_(shared, x, value=-2 * ctx.alpha * ctx.beta), None, None, None, None


def local_response_norm(
    x: Tensor, *, size: int = 5, k: float = 2.0, alpha: float = 1e-4, beta: float = 0.75, columns: int = 1
) -> Tensor:
    """Divide each activity by `(k + alpha * sum of squares of its neighbours) ** beta`.

    The neighbours are the `size` maps around it at the same place. With `columns` > 1 windows
    do not cross from one column to the other: in 2012 each GPU normalised its own maps.
    `x` is (N, C, H, W), and so is the result, in x's dtype; the sums are at least float32.
    Once differentiable.
    """
    wide = x.float() if x.dtype in (torch.bfloat16, torch.float16) else x
    by_column = wide.reshape(x.shape[0] * columns, x.shape[1] // columns, *x.shape[2:])
    return _LocalResponseNorm.apply(by_column, size, k, alpha, beta).reshape(x.shape).to(x.dtype)


class LocalResponseNorm(nn.Module):
    """`local_response_norm` as a layer."""

    def __init__(self, size: int, k: float, alpha: float, beta: float, columns: int = 1) -> None:
        super().__init__()
        self.size, self.k, self.alpha, self.beta, self.columns = size, k, alpha, beta, columns

    def forward(self, x: Tensor) -> Tensor:
        return local_response_norm(
            x, size=self.size, k=self.k, alpha=self.alpha, beta=self.beta, columns=self.columns
        )

    def extra_repr(self) -> str:
        return f"size={self.size}, k={self.k}, alpha={self.alpha}, beta={self.beta}, columns={self.columns}"


class SpatialResponseNorm(nn.Module):
    """Normalise over a `size` x `size` neighbourhood within each map.

    The layer `cnorm2` (type rnorm) of the 2012 program, absent from the paper: k=1 and
    0.001/25 on the sum of squares (2012 source, layers-145.cfg, layer-params-145.cfg).
    """

    def __init__(self, size: int = 5, k: float = 1.0, alpha: float = 4e-5, beta: float = 0.75) -> None:
        super().__init__()
        self.size, self.k, self.alpha, self.beta = size, k, alpha, beta

    def forward(self, x: Tensor) -> Tensor:
        area = self.size**2
        mean = nn.functional.avg_pool2d(x.square(), self.size, stride=1, padding=self.size // 2)
        return x * (self.k + self.alpha * area * mean) ** -self.beta

    def extra_repr(self) -> str:
        return f"size={self.size}, k={self.k}, alpha={self.alpha}, beta={self.beta}"
