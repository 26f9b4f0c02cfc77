"""What the loader hands to the data module."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor


class Batch(NamedTuple):
    """Squares (N, 3, size, size) uint8, labels (N,) int64, and the indices (N,) of the samples.

    The labels are on the CPU, where unreadable images are counted; the squares may be on a GPU.
    """

    squares: Tensor
    labels: Tensor
    indices: NDArray[np.int64]
