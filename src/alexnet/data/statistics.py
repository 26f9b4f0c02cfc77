"""Pixel statistics of a data set: mean image and principal components of its colours."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from alexnet.config import ColorScale, MeanKind


class Statistics(NamedTuple):
    """Statistics of a set of RGB images, 0-255.

    `mean` (3, size, size) is the mean image; `eigenvectors` (3, 3) holds the principal
    components of the RGB covariance over all pixels, one per column, largest first;
    `eigenvalues` (3,) are their variances in squared grey levels.
    """

    mean: NDArray[np.float32]
    eigenvectors: NDArray[np.float32]
    eigenvalues: NDArray[np.float32]

    @property
    def channel_means(self) -> NDArray[np.float32]:
        """Mean red, green and blue."""
        return self.mean.mean((1, 2))

    @property
    def standard_deviations(self) -> NDArray[np.float32]:
        """Standard deviations along the principal components, in grey levels."""
        return np.sqrt(self.eigenvalues)


class PixelSums:
    """Running sums from which the statistics follow.

    They are integers, exact in int64 and, below 2**53, in float64: the result does not depend on the order in
    which images are added.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.images = 0
        self.pixels = np.zeros((3, size, size), np.int64)
        self.products = np.zeros((3, 3))

    def add(self, image: NDArray[np.uint8]) -> None:
        """Add one image, (3, size, size)."""
        flat = torch.from_numpy(image).reshape(3, -1).double()
        self.images += 1
        self.pixels += image
        self.products += (flat @ flat.T).numpy()

    def merge(self, other: "PixelSums") -> None:
        """Add the sums of other images."""
        self.images += other.images
        self.pixels += other.pixels
        self.products += other.products

    def subtract(self, other: "PixelSums") -> None:
        """Take back the sums of images that were added, exactly."""
        self.images -= other.images
        self.pixels -= other.pixels
        self.products -= other.products

    def statistics(self) -> Statistics:
        """Compute the statistics of the images added, at least one."""
        mean = self.pixels / self.images
        channels = mean.mean((1, 2))
        covariance = self.products / (self.images * self.size**2) - np.outer(channels, channels)
        eigenvalues, eigenvectors = np.linalg.eigh(covariance)
        return Statistics(
            mean.astype(np.float32),
            eigenvectors[:, ::-1].astype(np.float32),
            eigenvalues[::-1].clip(0).astype(np.float32),
        )


def mean_image(statistics: Statistics, kind: MeanKind) -> Tensor:
    """Return the mean to subtract, (3, S, S): per pixel, per channel, or zero."""
    mean = torch.from_numpy(statistics.mean)
    if kind is MeanKind.pixel:
        return mean
    if kind is MeanKind.channel:
        return mean.mean((1, 2), keepdim=True).expand_as(mean).contiguous()
    return torch.zeros_like(mean)


def color_axes(statistics: Statistics, scale: ColorScale) -> Tensor:
    """Return the colour shifts (3, 3) of one standard normal draw, one principal component per column.

    `standard_deviation` is that of the 2012 program (convdata.py:113): on ImageNet about 122, 37 and 20 grey
    levels before the factor 0.1. `eigenvalue` is that of the paper's text, in units where white is 1, as in
    later reimplementations: about 55, 5 and 1 grey levels. (Computed in grey levels the first would be
    14,831.)
    """
    variances = torch.from_numpy(statistics.eigenvalues)
    lengths = variances.sqrt() if scale is ColorScale.standard_deviation else variances / 255
    return torch.from_numpy(statistics.eigenvectors) * lengths
