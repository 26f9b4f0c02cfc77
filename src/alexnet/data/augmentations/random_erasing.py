"""Rectangles of the images that are erased."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from alexnet.config.base import check
from alexnet.config.data import AugmentationConfig, register_augmentation

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor


@register_augmentation("random_erasing")
@dataclass
class RandomErasingConfig(AugmentationConfig):
    """A rectangle of the fraction `p` of the inputs is set to 0, the mean.

    Zhong, Zheng, Kang, Li, Yang, "Random Erasing Data Augmentation" (1708.04896, algorithm 1), with the mean
    for the erased pixels (RE-M there), as in torchvision. `scale` is the fraction of the area, `ratio` that
    of height to width.
    """

    p: float = 0.0
    scale: list[float] = field(default_factory=lambda: [0.02, 0.4])
    ratio: list[float] = field(default_factory=lambda: [0.3, 3.3333333333333335])

    @property
    def active(self) -> bool:
        return self.p > 0

    def draw(self, generator: np.random.Generator, samples: int) -> "NDArray[Any]":
        """Draw boxes as `draw_boxes`; those of images without one are nan by nan."""
        from alexnet.data.boxes import draw_boxes

        boxes = draw_boxes(generator, samples, self.scale, self.ratio)
        boxes[:, :2] = boxes[:, 1::-1]  # the ratio is that of height to width
        boxes[generator.random(samples) >= self.p, :2] = np.nan
        return boxes

    def change_inputs(self, images: "Tensor", draws: "Tensor") -> "Tensor":
        import torch

        from alexnet.data.boxes import pixel_boxes

        box = pixel_boxes(draws, images.shape[-1])
        position = torch.arange(images.shape[-1], device=images.device)
        rows = (position >= box.top) & (position < box.top + box.height)  # none if they are nan
        columns = (position >= box.left) & (position < box.left + box.width)
        return images.masked_fill((rows[:, :, None] & columns[:, None])[:, None], 0)

    def check(self) -> None:
        key = "data.augment.random_erasing"
        check(0 <= self.p <= 1, f"{key}.p", self.p, "a fraction of the images, from 0 to 1")
        valid = len(self.scale) == 2 and 0 < self.scale[0] <= self.scale[1] <= 1
        check(valid, f"{key}.scale", self.scale, "two fractions of the area, from above 0 to 1, rising")
        valid = len(self.ratio) == 2 and 0 < self.ratio[0] <= self.ratio[1]
        check(valid, f"{key}.ratio", self.ratio, "two ratios of height to width above 0, rising")
