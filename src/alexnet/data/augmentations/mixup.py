"""Sums of two images."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from alexnet.config.data import BetaMixConfig, register_augmentation

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor


@register_augmentation("mixup")
@dataclass
class MixupConfig(BetaMixConfig):
    """Weighted sums of two images, and of their labels, with weights from Beta(alpha, alpha).

    Zhang, Cisse, Dauphin, Lopez-Paz, "mixup: Beyond Empirical Risk Minimization" (1710.09412, equation 2);
    each image has a weight of its own. The fraction `p` of the images is mixed.
    """

    key: ClassVar[str] = "data.augment.mixup"

    def draw(self, generator: np.random.Generator, samples: int) -> "NDArray[Any]":
        return self.draw_shares(generator, samples).astype(np.float32)

    def mix(self, images: "Tensor", partners: "Tensor", draws: "Tensor") -> "tuple[Tensor, Tensor]":
        weights = draws[:, None, None, None].to(images.dtype)
        return weights * images + (1 - weights) * partners, draws
