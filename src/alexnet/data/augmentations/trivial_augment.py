"""One random change of geometry or colour for each image."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from alexnet.config.data import AugmentationConfig, register_augmentation

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor


@register_augmentation("trivial_augment")
@dataclass
class TrivialAugmentConfig(AugmentationConfig):
    """One of 14 changes for each image, with one of 31 strengths and a sign, all with equal probabilities.

    Müller and Hutter, "TrivialAugment: Tuning-free Yet State-of-the-Art Data Augmentation", ICCV 2021
    (2103.10158), with the wide ranges of strengths, as torchvision's TrivialAugmentWide.
    """

    enabled: bool = False

    @property
    def active(self) -> bool:
        return self.enabled

    def draw(self, generator: np.random.Generator, samples: int) -> "NDArray[Any]":
        """Draw the number of the change and its parameter, (samples, 2)."""
        from alexnet.data.trivial_changes import BINS, Change, parameters

        changes = generator.integers(0, len(Change), samples)
        bins = generator.integers(0, BINS, samples)
        negative = generator.random(samples) < 0.5
        return np.column_stack([changes, parameters(changes, bins, negative)]).astype(np.float32)

    def change_pixels(self, images: "Tensor", draws: "Tensor") -> "Tensor":
        from alexnet.data.trivial_changes import change_each

        return change_each(images, draws[:, 0], draws[:, 1])
