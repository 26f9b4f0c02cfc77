"""Local response normalisation by torch.compile: `lrn_kernels` with fewer passes over memory.

On a GPU Triton compiles the plain formula well. On a CPU the compiled code would spend most of its time on
the bounds of padded or clipped slices. There every neighbour is read at a fixed distance in memory, even if
it belongs to the maps of another pixel, and is masked out if `column_mask` is 0. The first and last entries
of dimension 0 lack such neighbours and are left to the eager form.
"""

import functools
import warnings
from collections.abc import Callable
from types import FunctionType
from typing import Any

import torch
from torch import Tensor

from alexnet.errors import first_line, lacks_memory
from alexnet.models import lrn_kernels
from alexnet.models.lrn_kernels import Window, inverse_power, upcast

# elements of the input that the backward pass processes at a time: the sums stay in the processor's cache
CHUNK = 2**21

_failed: set[Any] = set()  # shapes, dtypes and devices for which compilation failed


def lrn_reference(x: Tensor, window: Window) -> Tensor:
    """Compute `lrn_kernels.lrn_reference` and its derivative, each in few kernels."""

    def attempt() -> Tensor:
        return _compiled(lrn_kernels.lrn_reference, x)(mark_batch_dynamic(x), window)

    return _with_eager_fallback(attempt, lambda: lrn_kernels.lrn_reference(x, window), x)


def forward(x: Tensor, window: Window) -> Tensor:
    """Compute `lrn_kernels.forward` on a CPU for x (outer, maps, inner) with outer >= 3."""

    def attempt() -> Tensor:
        out, ends = torch.empty_like(x), slice(None, None, len(x) - 1)
        _compiled(_fill_result, x)(
            mark_batch_dynamic(x), column_mask(x, window), mark_batch_dynamic(out[1:-1]), window
        )
        out[ends] = lrn_kernels.forward(x[ends], window)
        return out

    return _with_eager_fallback(attempt, lambda: lrn_kernels.forward(x, window), x)


def backward(x: Tensor, grad: Tensor, window: Window) -> Tensor:
    """Compute `lrn_kernels.backward` on a CPU for x (outer, maps, inner) with outer >= 3."""

    def attempt() -> Tensor:
        out, ends, mask = torch.empty_like(x), slice(None, None, len(x) - 1), column_mask(x, window)
        step = max(1, CHUNK // x[0].numel())
        firsts, terms = torch.empty((2, min(step + 2, len(x)), *x.shape[1:]), dtype=mask.dtype)
        for start in range(1, len(x) - 1, step):
            stop = min(start + step, len(x) - 1)
            a, term = (
                mark_batch_dynamic(x[start - 1 : stop + 1]),
                mark_batch_dynamic(terms[: stop - start + 2]),
            )
            g, result, first = (
                mark_batch_dynamic(tensor)
                for tensor in (grad[start:stop], out[start:stop], firsts[: stop - start])
            )
            _compiled(_fill_terms, x)(a, g, mask, first, mark_batch_dynamic(term[1:-1]), window)
            _compiled(_fill_gradient, x)(a, first, term, mask, result, window)
        out[ends] = lrn_kernels.backward(x[ends], grad[ends], window)
        return out

    return _with_eager_fallback(attempt, lambda: lrn_kernels.backward(x, grad, window), x)


def column_mask(x: Tensor, window: Window) -> Tensor:
    """Compute 1 where a map's neighbour is in its column, else 0: (neighbours, maps, 1).

    Not bool: vectorized code compares numbers faster than it unpacks booleans.
    """
    reach, number = window.reach(x.shape[1]), torch.arange(x.shape[1])
    neighbours = number + torch.arange(-reach, reach + 1)[:, None]
    maps_of_column = x.shape[1] // window.columns
    same = neighbours.div(maps_of_column, rounding_mode="floor") == number // maps_of_column
    return same.to(upcast(x[:0]).dtype)[..., None]


def _fill_result(x: Tensor, mask: Tensor, out: Tensor, window: Window) -> None:
    power = inverse_power(_scale(x, mask, window), window.beta)
    out.copy_(upcast(x[1:-1]) * power)


def _fill_terms(x: Tensor, grad: Tensor, mask: Tensor, first: Tensor, terms: Tensor, window: Window) -> None:
    """Compute the first part of the gradient, and the terms of the second part's sum over the window."""
    scale = _scale(x, mask, window)
    power = upcast(grad) * inverse_power(scale, window.beta)
    first.copy_(power)
    terms.copy_(power * upcast(x[1:-1]) / scale)


def _fill_gradient(
    x: Tensor, first: Tensor, terms: Tensor, mask: Tensor, out: Tensor, window: Window
) -> None:
    shared = upcast(x[1:-1]) * _masked_sum(_neighbours(terms, window), mask)
    out.copy_(first - 2 * window.alpha * window.beta * shared)


def _scale(x: Tensor, mask: Tensor, window: Window) -> Tensor:
    squares = [upcast(neighbour).square() for neighbour in _neighbours(x, window)]
    return window.k + window.alpha * _masked_sum(squares, mask)


def _neighbours(x: Tensor, window: Window) -> list[Tensor]:
    """Return views of x (outer, maps, inner) without the ends of outer, one for each offset in the window."""
    outer, maps, inner = x.shape
    reach = window.reach(maps)
    length = (outer - 2) * maps * inner
    starts = [(maps + offset) * inner for offset in range(-reach, reach + 1)]
    return [x.view(-1)[start : start + length].view(outer - 2, maps, inner) for start in starts]


def _masked_sum(neighbours: list[Tensor], mask: Tensor) -> Tensor:
    middle = len(neighbours) // 2
    total = neighbours[middle]
    for number, neighbour in enumerate(neighbours):
        if number != middle:
            total = total + torch.where(mask[number] > 0, neighbour, 0)
    return total


def _compiled(function: Callable[..., Any], x: Tensor) -> Callable[..., Any]:
    return _compiled_for(function, f"{function.__name__}_{tuple(x.shape[1:])}_{x.dtype}_{x.device.type}")


@functools.cache
def _compiled_for(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    # torch.compile gives up on a code object after eight specializations: each shape gets its own
    assert isinstance(function, FunctionType)
    copy = FunctionType(function.__code__.replace(co_name=name), function.__globals__)
    return torch.compile(copy, fullgraph=True, dynamic=False)


def mark_batch_dynamic(x: Tensor) -> Tensor:
    """Mark x so that one compilation serves any number of images."""
    torch._dynamo.maybe_mark_dynamic(x, 0)
    return x


def _with_eager_fallback(attempt: Callable[[], Tensor], eager: Callable[[], Tensor], x: Tensor) -> Tensor:
    """Run `attempt`; if it cannot be compiled run `eager`, with a warning the first time."""
    key = (x.shape[1:], x.dtype, x.device.type)
    if key in _failed:
        return eager()
    try:
        return attempt()
    except (RuntimeError, torch._dynamo.exc.FailOnRecompileLimitHit) as error:
        if lacks_memory(error):  # the eager form would run out of it, too
            raise
        _failed.add(key)
        warnings.warn(
            f"LRN could not be compiled and is several times slower: {first_line(error)}", stacklevel=2
        )
        return eager()
