"""Hand-made features of an image: histograms of oriented gradients and of colours.

Does not import torch: worker processes compute features, and each would load it.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from skimage.feature import hog

from alexnet.config import Features, HandMadeConfig


def downscale(image: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Resize an image (3, S, S) to (3, size, size); each pixel averages those that it covers."""
    full = Image.fromarray(image.transpose(1, 2, 0))
    small = full.resize((size, size), Image.Resampling.BILINEAR)  # Pillow's is antialiased
    return np.ascontiguousarray(np.asarray(small).transpose(2, 0, 1))


def compute_features(images: NDArray[np.uint8], config: HandMadeConfig) -> NDArray[np.float32]:
    """Return the features (N, length) of images (N, 3, size, size)."""
    if not len(images):
        return np.empty((0, feature_length(config)), np.float32)
    return np.stack([_features_of_image(image, config) for image in images])


def feature_length(config: HandMadeConfig) -> int:
    """Return the number of features of an image."""
    size = config.image_size
    return compute_features(np.zeros((1, 3, size, size), np.uint8), config).shape[1]


def _features_of_image(image: NDArray[np.uint8], config: HandMadeConfig) -> NDArray[np.float32]:
    parts = []
    if config.features is not Features.color:
        parts.append(oriented_gradients(image, config))
    if config.features is not Features.hog:
        parts.append(color_histogram(image, config.color_bins))
    return np.concatenate(parts).astype(np.float32)


def oriented_gradients(image: NDArray[np.uint8], config: HandMadeConfig) -> NDArray[np.float64]:
    """Compute histograms of oriented gradients (Dalal & Triggs, CVPR 2005) of an image (3, size, size).

    Each cell has a histogram of the directions of its gradients, once for each of the overlapping blocks
    that the cell is in, normalised over the block (L2-Hys, their §6.4). A pixel's gradient is the largest of
    those in red, green and blue.
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
    """Compute the square roots of the shares of an image's pixels (3, size, size) in bins^3 boxes of RGB.

    This is the joint histogram of Swain & Ballard (IJCV 1991). The dot product of two histograms of square
    roots is their Bhattacharyya coefficient, which a linear classifier can use.
    """
    red, green, blue = image.reshape(3, -1).astype(np.int64) * bins // 256
    counts = np.bincount((red * bins + green) * bins + blue, minlength=bins**3)
    return np.sqrt(counts / red.size)
