"""Pixel statistics of a data set: mean image and principal components of the colours."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from alexnet.config import ColorScale, MeanKind


class Statistics(NamedTuple):
    """Over a set of RGB squares, 0-255.

    `mean` (3, size, size) is the mean image; `eigenvectors` (3, 3) holds the principal
    components of the RGB covariance over all pixels, one a column, largest first;
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
        """Along the principal components, in grey levels."""
        return np.sqrt(self.eigenvalues)


class PixelSums:
    """Sums from which the statistics follow.

    Whole numbers, exact in int64 and below 2**53 in float64: in what order images are added changes nothing.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.images = 0
        self.pixels = np.zeros((3, size, size), np.int64)
        self.products = np.zeros((3, 3))

    def add(self, square: NDArray[np.uint8]) -> None:
        """Take in one image, (3, size, size)."""
        flat = torch.from_numpy(square).reshape(3, -1).double()
        self.images += 1
        self.pixels += square
        self.products += (flat @ flat.T).numpy()

    def join(self, other: "PixelSums") -> None:
        """Take in what another has added up."""
        self.images += other.images
        self.pixels += other.pixels
        self.products += other.products

    def statistics(self) -> Statistics:
        """Of at least one image."""
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
    """The mean to subtract, (3, S, S): of each pixel, of each channel, or zero."""
    mean = torch.from_numpy(statistics.mean)
    if kind is MeanKind.pixel:
        return mean
    if kind is MeanKind.channel:
        return mean.mean((1, 2), keepdim=True).expand_as(mean).contiguous()
    return torch.zeros_like(mean)


def color_axes(statistics: Statistics, scale: ColorScale) -> Tensor:
    """How far one standard normal draw moves an image along each principal component.

    `standard_deviation` is the 2012 program (convdata.py:113), on ImageNet about 122, 37 and 20
    grey levels before the factor 0.1. `eigenvalue` is the paper's text in units where white is
    1, as later ports have it: about 55, 5 and 1. (Taken in grey levels it would be 14,831.)
    """
    variances = torch.from_numpy(statistics.eigenvalues)
    lengths = variances.sqrt() if scale is ColorScale.standard_deviation else variances / 255
    return torch.from_numpy(statistics.eigenvectors) * lengths
