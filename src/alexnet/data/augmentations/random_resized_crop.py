"""Random crops of random size and shape, resized to the network's input."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from alexnet.config.base import check
from alexnet.config.data import CropAugmentationConfig, register_augmentation

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor


@register_augmentation("random_resized_crop")
@dataclass
class RandomResizedCropConfig(CropAugmentationConfig):
    """Crops of a random part of the image's area, in place of crops of one size at random positions.

    Szegedy et al., "Going deeper with convolutions", 2014 (1409.4842, section 6): `scale` is the fraction of
    the area, `ratio` that of width to height. A crop whose shape does not fit is the largest of the nearest
    ratio. Resized as by torchvision: bilinear, with antialiasing.
    """

    enabled: bool = False
    scale: list[float] = field(default_factory=lambda: [0.08, 1.0])
    ratio: list[float] = field(default_factory=lambda: [0.75, 1.3333333333333333])

    @property
    def active(self) -> bool:
        return self.enabled

    def draw(self, generator: np.random.Generator, samples: int) -> "NDArray[Any]":
        from alexnet.data.boxes import draw_boxes

        boxes = draw_boxes(generator, samples, self.scale, self.ratio)
        nearest = min(max(1.0, self.ratio[0]), self.ratio[1])
        boxes[np.isnan(boxes[:, 0]), :2] = min(1, 1 / nearest), min(1, nearest)
        return boxes

    def crop(self, images: "Tensor", draws: "Tensor", size: int) -> "Tensor":
        from alexnet.data.boxes import pixel_boxes
        from alexnet.data.resampling import crop_and_resize

        return crop_and_resize(images, pixel_boxes(draws, images.shape[-1]), size)

    def check(self) -> None:
        key = "data.augment.random_resized_crop"
        valid = len(self.scale) == 2 and 0 < self.scale[0] <= self.scale[1] <= 1
        check(valid, f"{key}.scale", self.scale, "two fractions of the area, from above 0 to 1, rising")
        valid = len(self.ratio) == 2 and 0 < self.ratio[0] <= self.ratio[1]
        check(valid, f"{key}.ratio", self.ratio, "two ratios of width to height above 0, rising")
