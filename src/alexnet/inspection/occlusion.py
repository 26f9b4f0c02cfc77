"""Occlusion sensitivity: which parts of an image a prediction depends on (Zeiler and Fergus, 2014, §4.2)."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

POSITIONS = 11  # of the patch, along each side
PATCH = 0.25  # of the side of a crop


def patch_of(size: int) -> int:
    """Return the side of the patch, in pixels, for crops of size x size."""
    return max(1, round(PATCH * size))


def occlusion_map(
    classify: Callable[[Tensor], Tensor], crop: Tensor, label: int, batch_size: int
) -> NDArray[np.float32]:
    """Return the probability of a class with a patch over the image, (POSITIONS, POSITIONS), row by row.

    `crop` (3, S, S) has its mean subtracted, so that a patch of zeros shows the mean image. `classify` maps
    crops (N, 3, S, S) to probabilities (N, classes). The patch's positions are evenly spaced, from corner to
    corner.
    """
    side = patch_of(crop.shape[-1])
    corners = np.linspace(0, crop.shape[-1] - side, POSITIONS).round().astype(int).tolist()
    places = [(top, left) for top in corners for left in corners]
    found: list[Tensor] = []
    for start in range(0, len(places), batch_size):
        part = places[start : start + batch_size]
        crops = crop.repeat(len(part), 1, 1, 1)
        for occluded, (top, left) in zip(crops, part, strict=True):
            occluded[:, top : top + side, left : left + side] = 0
        found.append(classify(crops)[:, label])
    return torch.cat(found).float().cpu().numpy().reshape(POSITIONS, POSITIONS)
