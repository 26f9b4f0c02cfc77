"""Sums of two images."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from alexnet.config.base import check
from alexnet.config.data import MixAugmentationConfig, register_augmentation

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor


@register_augmentation("mixup")
@dataclass
class MixupConfig(MixAugmentationConfig):
    """Weighted sums of two images, and of their labels, with weights from Beta(alpha, alpha).

    Zhang, Cisse, Dauphin, Lopez-Paz, "mixup: Beyond Empirical Risk Minimization" (1710.09412, equation 2);
    each image has a weight of its own. The fraction `p` of the images is mixed.
    """

    alpha: float = 0.0
    p: float = 1.0

    @property
    def active(self) -> bool:
        return self.alpha > 0 and self.p > 0

    def draw(self, generator: np.random.Generator, samples: int) -> "NDArray[Any]":
        weights = generator.beta(self.alpha, self.alpha, samples).astype(np.float32)
        weights[generator.random(samples) >= self.p] = 1
        return weights

    def mix(self, images: "Tensor", partners: "Tensor", draws: "Tensor") -> "tuple[Tensor, Tensor]":
        weights = draws[:, None, None, None].to(images.dtype)
        return weights * images + (1 - weights) * partners, draws

    def check(self) -> None:
        check(self.alpha >= 0, "data.augment.mixup.alpha", self.alpha, "0, which is off, or more")
        check(0 <= self.p <= 1, "data.augment.mixup.p", self.p, "a fraction of the images, from 0 to 1")
