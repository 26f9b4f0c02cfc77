"""The random draws of the augmentation."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from alexnet.data.loader import move_to_device


class AugmentationParams(NamedTuple):
    """The random draws of one epoch, one row per sample.

    `corners` (samples, 2) are uniform in [0, 1); `flips` (samples,) are fair coins;
    `colors` (samples, 3) are standard normal; `dropout_seeds` (samples,) decide which units are dropped.
    `added` holds the draws of registered augmentations, by name.
    """

    corners: NDArray[np.float64]
    flips: NDArray[np.bool_]
    colors: NDArray[np.float32]
    dropout_seeds: NDArray[np.uint32]
    added: Mapping[str, NDArray[Any]] = MappingProxyType({})

    def of(self, samples: NDArray[np.int64] | slice) -> "AugmentationParams":
        """Return the rows of some samples."""
        return AugmentationParams(
            self.corners[samples],
            self.flips[samples],
            self.colors[samples],
            self.dropout_seeds[samples],
            {name: draws[samples] for name, draws in self.added.items()},
        )

    def added_on(self, name: str, device: torch.device) -> Tensor:
        """Return the draws of a registered augmentation, on a device."""
        return move_to_device(torch.from_numpy(self.added[name]), device)
