"""The arithmetic of local response normalisation: the plain formula, and a fast eager form.

All functions normalise x (outer, maps, inner) along dimension 1: a channels-last batch is (N H W, maps, 1),
any other (N, maps, H W). Sums and powers are in at least float32, also for bfloat16. With
s = k + alpha * (sum of squares over the window) the result is x s^-beta, and for the gradient g of the result
that of x is

    g s^-beta - 2 alpha beta x * (sum over the window of g x s^-(beta + 1)).
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

# elements that the eager form processes at a time: intermediate results stay in the processor's cache
CHUNK = 2**19


class Window(NamedTuple):
    """The paper's n, k, alpha and beta (§3.3), and the number of columns, which windows do not cross."""

    size: int
    k: float
    alpha: float
    beta: float
    columns: int

    def reach(self, maps: int) -> int:
        """Return the largest number of neighbours on either side, for a layer of `maps`."""
        return min(self.size // 2, maps // self.columns - 1)


def upcast(x: Tensor) -> Tensor:
    """Convert half precision to float32."""
    return x.float() if x.dtype in (torch.bfloat16, torch.float16) else x


def inverse_power(scale: Tensor, beta: float) -> Tensor:
    """Compute `scale ** -beta`; for the paper's beta with square roots, several times faster than pow."""
    if beta == 0.75:
        root = scale.rsqrt()
        return root * root.sqrt()
    return scale.pow(-beta)


def lrn_reference(x: Tensor, window: Window) -> Tensor:
    """Compute the paper's formula literally; differentiable any number of times."""
    a = upcast(x).unflatten(1, (window.columns, -1))
    squares = total = a.square()
    for offset in range(1, window.reach(x.shape[1]) + 1):
        total = total + functional.pad(squares[:, :, :-offset], (0, 0, offset, 0))
        total = total + functional.pad(squares[:, :, offset:], (0, 0, 0, offset))
    return (a * inverse_power(window.k + window.alpha * total, window.beta)).flatten(1, 2).to(x.dtype)


def forward(x: Tensor, window: Window) -> Tensor:
    """Compute the formula eagerly, chunk by chunk, in few passes."""
    out = torch.empty_like(x)
    for a, result in zip(_chunks(x), _chunks(out), strict=True):
        a = upcast(a)
        result.copy_(inverse_power(_scale(a, window), window.beta).mul_(a))
    return out


def backward(x: Tensor, grad: Tensor, window: Window) -> Tensor:
    """Compute the gradient with respect to x from `grad`, the gradient with respect to the result."""
    out = torch.empty_like(x)
    for a, g, result in zip(_chunks(x), _chunks(grad), _chunks(out), strict=True):
        a = upcast(a)
        scale = _scale(a, window)
        power = inverse_power(scale, window.beta).mul_(g)
        shared = _window_sum((power * a).div_(scale), window)
        result.copy_(power.addcmul_(shared, a, value=-2 * window.alpha * window.beta))
    return out


def _chunks(x: Tensor) -> Sequence[Tensor]:
    return x.split(max(1, CHUNK // max(1, x[0].numel()))) if x.device.type == "cpu" and len(x) else (x,)


def _scale(a: Tensor, window: Window) -> Tensor:
    return _window_sum(a.square(), window).mul_(window.alpha).add_(window.k)


def _window_sum(x: Tensor, window: Window) -> Tensor:
    by_column = x.unflatten(1, (window.columns, -1))
    total = by_column.clone()
    for offset in range(1, window.reach(x.shape[1]) + 1):
        total[:, :, offset:] += by_column[:, :, :-offset]
        total[:, :, :-offset] += by_column[:, :, offset:]
    return total.flatten(1, 2)
