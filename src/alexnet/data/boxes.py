"""Boxes of random area and shape in square images, drawn as parts of the image's side."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

ATTEMPTS = 10  # to draw a box that is inside the image, as in torchvision


class PixelBoxes(NamedTuple):
    """Boxes in whole pixels, stored as floats (N, 1)."""

    top: Tensor
    left: Tensor
    height: Tensor
    width: Tensor


def draw_boxes(
    generator: np.random.Generator, samples: int, area: Sequence[float], ratio: Sequence[float]
) -> NDArray[np.float32]:
    """Return heights and widths, as parts of the image's side, and positions in [0, 1), (samples, 4).

    The area is uniform between the two fractions of the image's, the ratio of width to height log-uniform
    between the two of `ratio`, drawn again where they do not fit into the image together (Szegedy et al.,
    1409.4842, section 6; torchvision's RandomResizedCrop). A box that never fits is nan by nan.
    """
    sides = np.full((samples, 2), np.nan)
    missing = np.ones(samples, np.bool_)
    for _ in range(ATTEMPTS):
        areas = generator.uniform(area[0], area[1], samples)
        ratios = np.exp(generator.uniform(math.log(ratio[0]), math.log(ratio[1]), samples))
        drawn = np.sqrt(np.stack([areas / ratios, areas * ratios], 1))
        fits = missing & (drawn <= 1).all(1)
        sides[fits] = drawn[fits]
        missing &= ~fits
    return np.concatenate([sides, generator.random((samples, 2))], 1).astype(np.float32)


def pixel_boxes(draws: Tensor, side: int) -> PixelBoxes:
    """Round boxes (N, 4) of `draw_boxes` to pixels of images of `side` pixels."""
    sizes = (draws[:, :2] * side).round().clamp(1, side)
    corners = (draws[:, 2:] * (side + 1 - sizes)).floor().minimum(side - sizes)  # a float may round up to 1
    return PixelBoxes(corners[:, :1], corners[:, 1:], sizes[:, :1], sizes[:, 1:])
