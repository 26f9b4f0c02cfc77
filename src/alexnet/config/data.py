"""Images, their preparation and their augmentation."""

from dataclasses import dataclass, field

from omegaconf import MISSING

from alexnet.choices import ColorScale, DataSource, MeanKind, ValCrops
from alexnet.config.checked import Checked, check, check_positive


@dataclass
class AugmentConfig(Checked):
    """Random changes of the training images, each with its switch."""

    crop: bool = MISSING
    flip: bool = MISSING
    color: bool = MISSING
    color_scale: ColorScale = MISSING
    color_std: float = MISSING
    color_until_epoch: int | None = MISSING
    chunk: int = MISSING

    def check(self) -> None:
        check(self.color_std >= 0, "data.augment.color_std", self.color_std, "0 or more")
        check(self.chunk >= 1, "data.augment.chunk", self.chunk, "1 or more images")
        check_positive("data.augment.color_until_epoch", self.color_until_epoch)


@dataclass
class SyntheticConfig(Checked):
    """Size of the synthetic data set; it is made again when any of this changes."""

    train_images: int = MISSING
    val_images: int = MISSING
    seed: int = MISSING

    def check(self) -> None:
        check_positive("data.synthetic.train_images", self.train_images)
        check_positive("data.synthetic.val_images", self.val_images)


@dataclass
class DataConfig(Checked):
    """Images, their preparation and how they are read."""

    name: str = MISSING
    source: DataSource = MISSING
    root: str = MISSING
    cache: str = MISSING
    pack: str | None = MISSING
    batch_size: int = MISSING
    lr: float = MISSING
    epochs: int = MISSING
    workers: int | None = MISSING
    val_fraction: float = MISSING
    max_unreadable: float = MISSING
    stored_size: int = MISSING
    mean: MeanKind = MISSING
    val_crops: ValCrops = MISSING
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    synthetic: SyntheticConfig | None = MISSING

    def check(self) -> None:
        check(self.batch_size >= 1, "data.batch_size", self.batch_size, "1 or more images")
        check(self.epochs >= 1, "data.epochs", self.epochs, "1 or more")
        check(self.workers is None or self.workers >= 0, "data.workers", self.workers, "0 or more, or null")
        check(0 < self.val_fraction < 1, "data.val_fraction", self.val_fraction, "a number between 0 and 1")
        check(
            0 <= self.max_unreadable <= 1, "data.max_unreadable", self.max_unreadable, "a share, from 0 to 1"
        )
        check(self.stored_size >= 1, "data.stored_size", self.stored_size, "1 or more pixels")
