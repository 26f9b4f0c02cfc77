"""Local response normalisation by torch.compile: as `lrn_kernels`, less its passes over memory.

On a GPU Triton makes of the formula what is wanted. The compiler of the CPU would spend most of its time on
the bounds of padded or clipped slices. For it every neighbour is read at a fixed distance in memory, be it
among the next pixel's maps, and dropped where `inside` is 0. The first and the last of dimension 0 have
no such neighbours and are left to the eager form.
"""

import functools
import warnings
from collections.abc import Callable
from types import FunctionType
from typing import Any

import torch
from torch import Tensor

from alexnet.errors import lacks_memory
from alexnet.models import lrn_kernels
from alexnet.models.lrn_kernels import Window, inverse_power, upcast

# elements of the input that the backward pass takes at a time: what it sums stays in the processor's cache
PIECE = 2**21

_failed: set[Any] = set()  # what could not be compiled


def lrn_reference(x: Tensor, window: Window) -> Tensor:
    """`lrn_kernels.formula` and its derivative, each in few kernels."""

    def attempt() -> Tensor:
        return _compiled(lrn_kernels.lrn_reference, x)(_mark_batch_dynamic(x), window)

    return _with_eager_fallback(attempt, lambda: lrn_kernels.lrn_reference(x, window), x)


def forward(x: Tensor, window: Window) -> Tensor:
    """`lrn_kernels.forward` on a CPU; x (outer, maps, inner) has an outer of at least 3."""

    def attempt() -> Tensor:
        out, ends = torch.empty_like(x), slice(None, None, len(x) - 1)
        _compiled(_fill_result, x)(
            _mark_batch_dynamic(x), column_mask(x, window), _mark_batch_dynamic(out[1:-1]), window
        )
        out[ends] = lrn_kernels.forward(x[ends], window)
        return out

    return _with_eager_fallback(attempt, lambda: lrn_kernels.forward(x, window), x)


def backward(x: Tensor, grad: Tensor, window: Window) -> Tensor:
    """`lrn_kernels.backward` on a CPU; x (outer, maps, inner) has an outer of at least 3."""

    def attempt() -> Tensor:
        out, ends, within = torch.empty_like(x), slice(None, None, len(x) - 1), column_mask(x, window)
        step = max(1, PIECE // x[0].numel())
        firsts, terms = torch.empty((2, min(step + 2, len(x)), *x.shape[1:]), dtype=within.dtype)
        for start in range(1, len(x) - 1, step):
            stop = min(start + step, len(x) - 1)
            a, term = (
                _mark_batch_dynamic(x[start - 1 : stop + 1]),
                _mark_batch_dynamic(terms[: stop - start + 2]),
            )
            g, result, first = (
                _mark_batch_dynamic(each)
                for each in (grad[start:stop], out[start:stop], firsts[: stop - start])
            )
            _compiled(_fill_terms, x)(a, g, within, first, _mark_batch_dynamic(term[1:-1]), window)
            _compiled(_fill_gradient, x)(a, first, term, within, result, window)
        out[ends] = lrn_kernels.backward(x[ends], grad[ends], window)
        return out

    return _with_eager_fallback(attempt, lambda: lrn_kernels.backward(x, grad, window), x)


def column_mask(x: Tensor, window: Window) -> Tensor:
    """1 where a map's neighbour is in its column, else 0: (neighbours, maps, 1).

    Not bool: the compiler's vectors compare numbers faster than they unpack truth values.
    """
    reach, number = window.reach(x.shape[1]), torch.arange(x.shape[1])
    neighbours = number + torch.arange(-reach, reach + 1)[:, None]
    maps_of_column = x.shape[1] // window.columns
    same = neighbours.div(maps_of_column, rounding_mode="floor") == number // maps_of_column
    return same.to(upcast(x[:0]).dtype)[..., None]


def _fill_result(x: Tensor, within: Tensor, out: Tensor, window: Window) -> None:
    power = inverse_power(_scale(x, within, window), window.beta)
    out.copy_(upcast(x[1:-1]) * power)


def _fill_terms(
    x: Tensor, grad: Tensor, within: Tensor, first: Tensor, terms: Tensor, window: Window
) -> None:
    """The gradient's first part, and what its second sums over the window."""
    scale = _scale(x, within, window)
    power = upcast(grad) * inverse_power(scale, window.beta)
    first.copy_(power)
    terms.copy_(power * upcast(x[1:-1]) / scale)


def _fill_gradient(
    x: Tensor, first: Tensor, terms: Tensor, within: Tensor, out: Tensor, window: Window
) -> None:
    shared = upcast(x[1:-1]) * _sum_inside(_neighbours(terms, window), within)
    out.copy_(first - 2 * window.alpha * window.beta * shared)


def _scale(x: Tensor, within: Tensor, window: Window) -> Tensor:
    squares = [upcast(neighbour).square() for neighbour in _neighbours(x, window)]
    return window.k + window.alpha * _sum_inside(squares, within)


def _neighbours(x: Tensor, window: Window) -> list[Tensor]:
    """x (outer, maps, inner) less the ends of outer, shifted to each place in the window."""
    outer, maps, inner = x.shape
    reach = window.reach(maps)
    length = (outer - 2) * maps * inner
    starts = [(maps + offset) * inner for offset in range(-reach, reach + 1)]
    return [x.view(-1)[start : start + length].view(outer - 2, maps, inner) for start in starts]


def _sum_inside(neighbours: list[Tensor], within: Tensor) -> Tensor:
    middle = len(neighbours) // 2
    total = neighbours[middle]
    for number, neighbour in enumerate(neighbours):
        if number != middle:
            total = total + torch.where(within[number] > 0, neighbour, 0)
    return total


def _compiled(function: Callable[..., Any], x: Tensor) -> Callable[..., Any]:
    return _compiled_for(function, f"{function.__name__}_{tuple(x.shape[1:])}_{x.dtype}_{x.device.type}")


@functools.cache
def _compiled_for(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    # torch.compile gives a piece of code up after eight shapes and states: here each shape has its own
    assert isinstance(function, FunctionType)
    own = FunctionType(function.__code__.replace(co_name=name), function.__globals__)
    return torch.compile(own, fullgraph=True, dynamic=False)


def _mark_batch_dynamic(x: Tensor) -> Tensor:
    """x, marked so that one compilation serves any number of images."""
    torch._dynamo.maybe_mark_dynamic(x, 0)
    return x


def _with_eager_fallback(attempt: Callable[[], Tensor], eager: Callable[[], Tensor], x: Tensor) -> Tensor:
    """What `attempt` gives; where it cannot be compiled what `eager` gives, and a warning the first time."""
    kind = (x.shape[1:], x.dtype, x.device.type)
    if kind in _failed:
        return eager()
    try:
        return attempt()
    except (RuntimeError, torch._dynamo.exc.FailOnRecompileLimitHit) as error:
        if lacks_memory(error):  # which the eager form would not have, either
            raise
        _failed.add(kind)
        reason = str(error).strip().partition("\n")[0]
        warnings.warn(f"LRN could not be compiled and is several times slower: {reason}", stacklevel=2)
        return eager()
