"""What hand-made features say of an image: edges by direction and place, and colours.

Imports no torch: other processes compute features, and each would load it.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from skimage.feature import hog

from alexnet.config import Features, HandMadeConfig


def shrink(square: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """A square (3, S, S) as (3, size, size), each pixel an average over the ones that it covers."""
    image = Image.fromarray(square.transpose(1, 2, 0))
    small = image.resize((size, size), Image.Resampling.BILINEAR)  # of Pillow, which averages
    return np.ascontiguousarray(np.asarray(small).transpose(2, 0, 1))


def describe(images: NDArray[np.uint8], config: HandMadeConfig) -> NDArray[np.float32]:
    """The features (N, length) of images (N, 3, size, size)."""
    if not len(images):
        return np.empty((0, feature_length(config)), np.float32)
    return np.stack([_describe_one(image, config) for image in images])


def feature_length(config: HandMadeConfig) -> int:
    """How many numbers describe an image."""
    size = config.image_size
    return describe(np.zeros((1, 3, size, size), np.uint8), config).shape[1]


def _describe_one(image: NDArray[np.uint8], config: HandMadeConfig) -> NDArray[np.float32]:
    parts = []
    if config.features is not Features.color:
        parts.append(oriented_gradients(image, config))
    if config.features is not Features.hog:
        parts.append(color_histogram(image, config.color_bins))
    return np.concatenate(parts).astype(np.float32)


def oriented_gradients(image: NDArray[np.uint8], config: HandMadeConfig) -> NDArray[np.float64]:
    """Histograms of oriented gradients (Dalal & Triggs, CVPR 2005) of an image (3, size, size).

    For each cell a histogram of the directions of its edges, once for each of the overlapping blocks
    that the cell is in, normalised there (L2-Hys, their §6.4). Of a pixel's gradients in red, green and
    blue the largest counts.
    """
    side, cells = config.pixels_per_cell, config.cells_per_block
    return hog(
        image,
        orientations=config.orientations,
        pixels_per_cell=(side, side),
        cells_per_block=(cells, cells),
        block_norm="L2-Hys",
        channel_axis=0,
    )


def color_histogram(image: NDArray[np.uint8], bins: int) -> NDArray[np.float64]:
    """Square roots of the shares of an image's pixels (3, size, size) in each of bins^3 boxes of RGB.

    The joint histogram of Swain & Ballard (IJCV 1991). Of two histograms of square roots the scalar
    product is their Bhattacharyya coefficient, which a linear classifier can use.
    """
    red, green, blue = image.reshape(3, -1).astype(np.int64) * bins // 256
    counts = np.bincount((red * bins + green) * bins + blue, minlength=bins**3)
    return np.sqrt(counts / red.size)
