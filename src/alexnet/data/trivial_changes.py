"""The changes of TrivialAugment, each image of a batch with another one and another strength.

As torchvision's functions, which take one strength for a whole batch. An image's pixels do not depend on its
batch: sums are of integers, and no matrix product is used.
"""

from collections.abc import Callable
from enum import IntEnum
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchvision.transforms.v2 import functional

BINS = 31  # strengths


class Change(IntEnum):
    """What is changed, in the order of the paper's table 3."""

    identity = 0
    shear_x = 1
    shear_y = 2
    translate_x = 3
    translate_y = 4
    rotate = 5
    brightness = 6
    color = 7
    contrast = 8
    sharpness = 9
    posterize = 10
    solarize = 11
    auto_contrast = 12
    equalize = 13


GEOMETRY = range(Change.shear_x, Change.rotate + 1)
BLENDS = range(Change.brightness, Change.sharpness + 1)
# of the wide space: pixels, radians; of all others 0.99
LARGEST = {Change.translate_x: 32, Change.translate_y: 32, Change.rotate: np.radians(135)}


def parameters(
    changes: NDArray[np.int64], bins: NDArray[np.int64], negative: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Return what `change_each` takes for each change with one of `BINS` strengths and a sign.

    It is the slope of a shear, whole pixels, radians, the weight of the image itself in a blend, the mask of
    the bits that are kept, or the grey level from which an image is inverted.
    """
    strength = bins / (BINS - 1)
    signs = np.where(negative, -1, 1)
    largest = np.array([LARGEST.get(change, 0.99) for change in Change])[changes]
    result = signs * strength * largest
    moved = (changes == Change.translate_x) | (changes == Change.translate_y)
    result[moved] = np.trunc(result[moved])
    result[np.isin(changes, BLENDS)] += 1
    lost = np.round(6 * strength)  # 2 bits stay at least
    result = np.where(changes == Change.posterize, 256 - 2**lost, result)
    return np.where(changes == Change.solarize, 255 * (1 - strength), result)


def change_each(images: Tensor, changes: Tensor, values: Tensor) -> Tensor:
    """Change images (N, 3, S, S) uint8, each by its number in `Change` and its parameter, both (N,)."""
    steps: list[tuple[range, Callable[[Tensor, Tensor, Tensor], Tensor]]] = [
        (GEOMETRY, _warp),
        (_only(Change.brightness), lambda x, _, weight: _blend(x, weight, torch.zeros_like(x))),
        (_only(Change.color), lambda x, _, weight: _blend(x, weight, _gray(x))),
        (_only(Change.contrast), lambda x, _, weight: _blend(x, weight, _mean_gray(x))),
        (_only(Change.sharpness), lambda x, _, weight: _blend(x, weight, _blur(x))),
        (_only(Change.posterize), lambda x, _, value: x & _of_images(value).to(torch.uint8)),
        (_only(Change.solarize), lambda x, _, value: torch.where(x >= _of_images(value), 255 - x, x)),
        (_only(Change.auto_contrast), lambda x, *_: functional.autocontrast(x)),
        (_only(Change.equalize), lambda x, *_: functional.equalize(x)),
    ]
    for numbers, change in steps:
        chosen = (changes >= numbers.start) & (changes < numbers.stop)
        if images.device.type != "cpu":  # to compute all of them is faster than to wait for their number
            images = torch.where(_of_images(chosen), change(images, changes, values), images)
        elif chosen.any():
            rows = chosen.nonzero()[:, 0]
            images = images.index_copy(0, rows, change(images[rows], changes[rows], values[rows]))
    return images


def _only(change: Change) -> range:
    return range(change, change + 1)


def _of_images(values: Tensor) -> Tensor:
    return values[:, None, None, None]


def _warp(images: Tensor, changes: Tensor, values: Tensor) -> Tensor:
    """Take each pixel from the nearest place of a linear map; what comes from outside is black."""

    def where(change: Change, chosen: Tensor, other: Any) -> Tensor:
        return torch.where(changes == change, chosen, other)[:, None, None]

    side = images.shape[-1]
    one, zero = torch.ones_like(values), torch.zeros_like(values)
    cosine, sine = where(Change.rotate, values.cos(), one), where(Change.rotate, values.sin(), zero)
    slope_x, slope_y = where(Change.shear_x, values, zero), where(Change.shear_y, values, zero)
    origin = where(Change.rotate, one * side / 2, zero)  # a corner is sheared, the middle turned
    position = torch.arange(side, device=images.device) + 0.5
    x, y = position[None, None, :] - origin, position[None, :, None] - origin
    columns = cosine * x + (slope_x - sine) * y + origin - where(Change.translate_x, values, zero)
    rows = (slope_y + sine) * x + cosine * y + origin - where(Change.translate_y, values, zero)
    columns, rows = columns.floor().long(), rows.floor().long()
    inside = (columns >= 0) & (columns < side) & (rows >= 0) & (rows < side)
    place = (rows * side + columns).where(inside, 0).flatten(1)
    moved = images.flatten(2).gather(2, place[:, None].expand(-1, 3, -1)).view_as(images)
    return moved.where(inside[:, None], 0)


def _blend(images: Tensor, weights: Tensor, others: Tensor) -> Tensor:
    """Mix each image with another by its weight, which may be above 1."""
    x = images.float()
    return (x + (1 - _of_images(weights)) * (others - x)).clamp_(0, 255).to(torch.uint8)


def _gray(images: Tensor) -> Tensor:
    red, green, blue = images.float().unbind(1)
    return (red * 0.2989 + green * 0.587 + blue * 0.114).floor()[:, None]


def _mean_gray(images: Tensor) -> Tensor:
    gray = _gray(images)
    return _of_images(gray.long().sum((1, 2, 3)) / gray[0].numel())


def _blur(images: Tensor) -> Tensor:
    """Return means over 3x3 pixels in which the middle counts 5 times, rounded; edges stay as they are."""
    x = images.float()
    rows = x[:, :, :-2] + x[:, :, 1:-1] + x[:, :, 2:]
    sums = rows[..., :-2] + rows[..., 1:-1] + rows[..., 2:]
    middle = x[..., 1:-1, 1:-1]
    middle.copy_(((sums + 4 * middle) / 13).round())
    return x
