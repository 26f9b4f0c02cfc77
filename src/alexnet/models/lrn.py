"""Local response normalisation (paper §3.3).

torch.nn.LocalResponseNorm divides alpha by the window size, as does the 2012 program; the formula in the
paper does not. Here alpha is the paper's.
"""

from typing import Any

import torch
from torch import Tensor, nn

from alexnet.models import lrn_compiled, lrn_kernels
from alexnet.models.lrn_kernels import Window

# elements that a layer normalises in all its calls above which compilation, seconds per shape, pays off
MIN_ELEMENTS_TO_COMPILE = 100 * 2**23
ASSUMED_CALLS = 100  # of a layer, unless it is told


class _LocalResponseNorm(torch.autograd.Function):
    """LRN that saves nothing but its input; autograd would keep every term of the window sum."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, window: Window, compiled: bool) -> Tensor:
        ctx.save_for_backward(x)
        ctx.window, ctx.compiled = window, compiled
        return (lrn_compiled.forward if compiled else lrn_kernels.forward)(x.detach(), window)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (x,) = ctx.saved_tensors
        kernels = lrn_compiled if ctx.compiled else lrn_kernels
        return kernels.backward(x.detach(), gradients[0].detach().contiguous(), ctx.window), None, None


def local_response_norm(
    x: Tensor,
    *,
    size: int = 5,
    k: float = 2.0,
    alpha: float = 1e-4,
    beta: float = 0.75,
    columns: int = 1,
    compiled: bool | None = None,
) -> Tensor:
    """Divide each activation by `(k + alpha * sum of squares over the window) ** beta`.

    The window consists of `size` maps at the same position, centred on the activation's own. With
    `columns` > 1 windows do not extend beyond a column: in 2012 each GPU normalised its own maps.
    `x` is (N, C, H, W), and so is the result, in x's dtype; sums are accumulated in at least float32.
    Differentiable once. Fastest with channels-last tensors.

    `compiled` uses torch.compile, once per shape of the maps; by default if that pays off within a hundred
    calls. Without a C++ compiler, or Triton on a GPU, it warns once and runs the eager form.
    """
    window = Window(size, k, alpha, beta, columns)
    last = x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()
    x = x if last else x.contiguous()
    flat = x.permute(0, 2, 3, 1).reshape(-1, x.shape[1], 1) if last else x.flatten(2)
    y = _normalize(flat, window, pays_off(x, ASSUMED_CALLS) if compiled is None else compiled)
    return y.view(x.shape[0], *x.shape[2:], x.shape[1]).permute(0, 3, 1, 2) if last else y.view(x.shape)


def pays_off(x: Tensor, calls: float) -> bool:
    """Return whether `calls` with inputs of this size save more time than compilation takes."""
    return x.numel() * calls >= MIN_ELEMENTS_TO_COMPILE


def _normalize(x: Tensor, window: Window, compiled: bool) -> Tensor:
    """Normalise `x` (outer, maps, inner) along dimension 1."""
    # torch.compile of the whole network fuses the plain formula with the layers around it; torch.export
    # needs torch's own operations, as the exported network runs without this package
    if torch.compiler.is_compiling():
        return lrn_kernels.lrn_reference(x, window)
    if compiled and x.device.type == "cuda":
        return lrn_compiled.lrn_reference(x, window)
    return _LocalResponseNorm.apply(x, window, compiled and x.device.type == "cpu" and len(x) > 2)


class LocalResponseNorm(nn.Module):
    """The layer form of `local_response_norm`."""

    def __init__(self, size: int, k: float, alpha: float, beta: float, columns: int = 1) -> None:
        super().__init__()
        self.size, self.k, self.alpha, self.beta, self.columns = size, k, alpha, beta, columns
        self.compiled: bool | None = False  # as in `local_response_norm`; None: if it pays off within `calls`
        self.calls: float = ASSUMED_CALLS  # expected ones, those of a whole run if it was resumed

    def forward(self, x: Tensor) -> Tensor:
        return local_response_norm(
            x,
            size=self.size,
            k=self.k,
            alpha=self.alpha,
            beta=self.beta,
            columns=self.columns,
            compiled=pays_off(x, self.calls) if self.compiled is None else self.compiled,
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
