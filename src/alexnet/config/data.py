"""Configuration of the data: images, their preparation and augmentation."""

from dataclasses import dataclass, field
from enum import Enum

from omegaconf import MISSING

from alexnet.config.base import ValidatedConfig, check, check_positive


class DataSource(Enum):
    """Source of the images."""

    synthetic = "synthetic"
    folder = "folder"
    cifar10 = "cifar10"
    imagenette = "imagenette"
    imagenet = "imagenet"


class PackFormat(Enum):
    """Content of a pack: raw pixels, or JPEG files of about a tenth of the size."""

    raw = "raw"
    jpeg = "jpeg"


class MeanKind(Enum):
    """The mean that is subtracted: one per pixel, one per channel, or none."""

    pixel = "pixel"
    channel = "channel"
    zero = "zero"


class ValCrops(Enum):
    """Crops evaluated in validation: the centre, or ten whose probabilities are averaged."""

    center = "center"
    ten = "ten"


class ColorScale(Enum):
    """Scale of the colour noise along a principal component: its standard deviation, or its eigenvalue."""

    standard_deviation = "standard_deviation"
    eigenvalue = "eigenvalue"


@dataclass
class AugmentConfig(ValidatedConfig):
    """Random augmentation of the training images, each kind with its own switch."""

    crop: bool = MISSING
    flip: bool = MISSING
    color: bool = MISSING
    color_scale: ColorScale = MISSING
    color_std: float = MISSING
    color_until_epoch: int | None = MISSING
    crop_group_size: int = MISSING

    def check(self) -> None:
        check(self.color_std >= 0, "data.augment.color_std", self.color_std, "0 or more")
        check(
            self.crop_group_size >= 1,
            "data.augment.crop_group_size",
            self.crop_group_size,
            "1 or more images",
        )
        check_positive("data.augment.color_until_epoch", self.color_until_epoch)


@dataclass
class SyntheticConfig(ValidatedConfig):
    """Size and seed of the synthetic data set, which is regenerated when any of these values changes."""

    train_images: int = MISSING
    val_images: int = MISSING
    seed: int = MISSING

    def check(self) -> None:
        check_positive("data.synthetic.train_images", self.train_images)
        check_positive("data.synthetic.val_images", self.val_images)


@dataclass
class DataConfig(ValidatedConfig):
    """Images, their preparation, and how they are loaded."""

    name: str = MISSING
    source: DataSource = MISSING
    root: str = MISSING
    cache: str = MISSING
    pack: str | None = MISSING
    batch_size: int = MISSING
    workers: int | None = MISSING
    val_fraction: float = MISSING
    max_unreadable: float = MISSING
    resize_size: int = MISSING
    mean: MeanKind = MISSING
    val_crops: ValCrops = MISSING
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    synthetic: SyntheticConfig | None = MISSING

    def check(self) -> None:
        check(self.batch_size >= 1, "data.batch_size", self.batch_size, "1 or more images")
        check(self.workers is None or self.workers >= 0, "data.workers", self.workers, "0 or more, or null")
        check(0 < self.val_fraction < 1, "data.val_fraction", self.val_fraction, "a number between 0 and 1")
        check(
            0 <= self.max_unreadable <= 1, "data.max_unreadable", self.max_unreadable, "a share, from 0 to 1"
        )
        check(self.resize_size >= 1, "data.resize_size", self.resize_size, "1 or more pixels")
