"""Configuration of the data: images, their preparation and augmentation."""

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, ClassVar

from omegaconf import MISSING

from alexnet.config.base import InputPath, OutputPath, ValidatedConfig, check, check_positive
from alexnet.config.registry import ConfigRegistry, FieldRegistry

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from alexnet.data.image_list import ImageList
    from alexnet.data.walk import Walk


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
class AugmentationConfig(ValidatedConfig):
    """An augmentation added by a module, with its options; see `register_augmentation`.

    It has its own random stream, so it does not change the draws of other augmentations. Its draws are a
    function of (seed, epoch, sample), independent of batches, ranks and restarts.
    """

    required_methods: ClassVar[tuple[str, ...]] = ("active", "draw")

    @property
    def active(self) -> bool:
        """Whether it is on; with the default options it is off."""
        raise NotImplementedError

    def draw(self, generator: "np.random.Generator", samples: int) -> "NDArray[Any]":
        """Draw values for all samples of an epoch; return an array (samples, ...), one row per sample."""
        raise NotImplementedError

    def change_pixels(self, images: "Tensor", draws: "Tensor") -> "Tensor":
        """Return changed images (N, 3, size, size), uint8, after crop and flip.

        `draws` holds the rows of these images, on their device.
        """
        return images

    def change_inputs(self, images: "Tensor", draws: "Tensor") -> "Tensor":
        """Return changed inputs (N, 3, size, size), float, after the mean and the colour noise."""
        return images


@dataclass
class CropAugmentationConfig(AugmentationConfig):
    """An augmentation that replaces the crops at random positions; at most one is on."""

    required_methods: ClassVar[tuple[str, ...]] = ("active", "draw", "crop")

    def crop(self, images: "Tensor", draws: "Tensor", size: int) -> "Tensor":
        """Return crops (N, 3, size, size) of images (N, 3, S, S), both uint8, to be flipped afterwards.

        `draws` holds the rows of these images, on their device.
        """
        raise NotImplementedError


@dataclass
class MixAugmentationConfig(AugmentationConfig):
    """An augmentation that mixes each image with the next one of its global batch, and their labels."""

    required_methods: ClassVar[tuple[str, ...]] = ("active", "draw", "mix")

    def mix(self, images: "Tensor", partners: "Tensor", draws: "Tensor") -> "tuple[Tensor, Tensor]":
        """Return mixed inputs (N, 3, size, size), and the share of each image's own label (N,).

        `images` and `partners` are inputs of the network, float. `draws` holds the rows of `images`.
        """
        raise NotImplementedError


@dataclass
class BetaMixConfig(MixAugmentationConfig):
    """A mixture whose share of each image's own label is from Beta(alpha, alpha).

    The fraction `p` of the images is mixed. `alpha=0` is off.
    """

    key: ClassVar[str]  # that of its options
    alpha: float = 0.0
    p: float = 1.0

    @property
    def active(self) -> bool:
        return self.alpha > 0 and self.p > 0

    def draw_shares(self, generator: "np.random.Generator", samples: int) -> "NDArray[np.float64]":
        """Draw the share of each image's own label, 1 for those that are not mixed, (samples,)."""
        shares = generator.beta(self.alpha, self.alpha, samples)
        shares[generator.random(samples) >= self.p] = 1
        return shares

    def check(self) -> None:
        check(self.alpha >= 0, f"{self.key}.alpha", self.alpha, "0, which is off, or more")
        check(0 <= self.p <= 1, f"{self.key}.p", self.p, "a fraction of the images, from 0 to 1")


@dataclass
class AugmentConfig(ValidatedConfig):
    """Random augmentation of the training images, each kind with its own switch.

    Each that is registered adds the key of its name.
    """

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
class DataConfig(ValidatedConfig):
    """Images, their preparation, and how they are loaded.

    This class reads class folders; other sources override `list_files`, or derive from
    `FetchedDataConfig`.
    """

    fetched: ClassVar[bool] = False  # whether the source makes or downloads images that are not there

    name: str = MISSING
    source: str = MISSING
    root: InputPath = MISSING
    cache: OutputPath = MISSING
    pack: InputPath | None = MISSING
    batch_size: int = MISSING
    workers: int | None = MISSING
    val_fraction: float = MISSING
    hold_out: float | None = None
    in_memory: bool = False
    resident: bool = False
    max_unreadable: float = MISSING
    exclude_damaged: bool = False
    resize_size: int = MISSING
    mean: MeanKind = MISSING
    val_crops: ValCrops = MISSING
    augment: AugmentConfig = field(default_factory=AugmentConfig)

    def list_files(self, walk: "Walk") -> "tuple[ImageList, ImageList] | None":
        """List the training and validation images below `walk.root`; None if they are in class folders.

        Raises `UserError` for data that cannot be trained on.
        """
        return None

    def describe_gaps(self, train: "ImageList", val: "ImageList") -> str | None:
        """Describe what is missing from a known data set, for the user; None if nothing is."""
        return None

    def check(self) -> None:
        check(self.batch_size >= 1, "data.batch_size", self.batch_size, "1 or more images")
        check(self.workers is None or self.workers >= 0, "data.workers", self.workers, "0 or more, or null")
        check(0 < self.val_fraction < 1, "data.val_fraction", self.val_fraction, "a number between 0 and 1")
        held = self.hold_out
        check(held is None or 0 < held < 1, "data.hold_out", held, "a number between 0 and 1, or null")
        check(
            0 <= self.max_unreadable <= 1,
            "data.max_unreadable",
            self.max_unreadable,
            "a fraction from 0 to 1",
        )
        check(self.resize_size >= 1, "data.resize_size", self.resize_size, "1 or more pixels")


AUGMENTATIONS = FieldRegistry(
    "augmentation",
    "data.augment",
    AugmentConfig,
    AugmentationConfig,
    package="alexnet.data.augmentations",
)
register_augmentation = AUGMENTATIONS.register

SOURCES = ConfigRegistry("data source", DataConfig, "data", "source", package="alexnet.data.sources")
register_data = SOURCES.register
