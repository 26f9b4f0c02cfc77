"""Images with a rectangle of another."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from alexnet.config.data import BetaMixConfig, register_augmentation

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor


@register_augmentation("cutmix")
@dataclass
class CutMixConfig(BetaMixConfig):
    """Images with a rectangle of another one in the same place, and labels shared by area.

    Yun et al., "CutMix: Regularization Strategy to Train Strong Classifiers with Localizable Features"
    (1905.04899, section 3.1): the area that stays is from Beta(alpha, alpha), the rectangle's middle is
    anywhere; what lies outside of the image is cut off and does not count. The fraction `p` of the images is
    mixed.
    """

    key: ClassVar[str] = "data.augment.cutmix"

    def draw(self, generator: np.random.Generator, samples: int) -> "NDArray[Any]":
        """Draw half the rectangle's side, as a part of the image's, and its middle, (samples, 3)."""
        half = np.sqrt(1 - self.draw_shares(generator, samples)) / 2
        return np.column_stack([half, generator.random((samples, 2))]).astype(np.float32)

    def mix(self, images: "Tensor", partners: "Tensor", draws: "Tensor") -> "tuple[Tensor, Tensor]":
        import torch

        side = images.shape[-1]
        half = (draws[:, :1] * side).floor()
        middle = (draws[:, 1:] * side).floor().clamp(max=side - 1)  # a float may round up to 1
        start, end = (middle - half).clamp(min=0), (middle + half).clamp(max=side)
        position = torch.arange(side, device=images.device)
        inside = (position >= start[..., None]) & (position < end[..., None])  # rows, columns: (N, 2, side)
        rectangle = inside[:, 0, :, None] & inside[:, 1, None, :]
        mixed = torch.where(rectangle[:, None], partners, images)
        return mixed, 1 - (end - start).prod(1) / side**2
