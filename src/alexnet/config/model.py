"""The networks: AlexNet's family, what came before it, and what came after."""

from dataclasses import dataclass, field

from omegaconf import MISSING

from alexnet.choices import Activation, DropoutPlace, DropoutScaling, Family, Init, Layer1Order, Pooling
from alexnet.config.checked import Checked, check, check_fraction, check_positive


@dataclass
class ModelConfig(Checked):
    """What every network has. Those of a family have its own keys besides; `of` tells which."""

    family: Family = MISSING
    name: str = MISSING
    image_size: int = MISSING
    pretrained: str | None = None
    freeze: list[str] = field(default_factory=list)

    @property
    def columns(self) -> int:
        """Into how many columns the network is divided."""
        return 1

    @property
    def features(self) -> list[str]:
        """What is worth saying of the network beside its name, in words."""
        return []

    def check(self) -> None:
        check(self.image_size >= 1, "model.image_size", self.image_size, "1 or more pixels")

    @staticmethod
    def of(family: Family | str | None) -> "type[ModelConfig]":
        """The form of a family's configuration; AlexNet's where none is named, as in runs of old."""
        return FORMS.get(family.value if isinstance(family, Family) else str(family), AlexNetConfig)


@dataclass
class AlexNetConfig(ModelConfig):
    """One network of AlexNet's family. Filters, hidden units and strides are those of width 1."""

    family: Family = Family.alexnet
    # the switches
    lrn: bool = MISSING
    dropout: float = MISSING
    activation: Activation = MISSING
    pooling: Pooling = MISSING
    columns: int = MISSING
    communication: bool = MISSING
    init: Init = MISSING
    init_bias: bool = MISSING
    removed: list[str] = MISSING
    width: float = MISSING
    # input
    canvas_size: int = MISSING
    conv1_padding: int = MISSING
    # layers
    filters: list[int] = MISSING
    hidden: list[int] = MISSING
    layer1_order: Layer1Order = MISSING
    spatial_norm: bool = MISSING
    lrn_size: int = MISSING
    lrn_k: float = MISSING
    lrn_alpha: float = MISSING
    lrn_beta: float = MISSING
    dropout_scaling: DropoutScaling = MISSING
    dropout_place: DropoutPlace = MISSING

    @property
    def features(self) -> list[str]:
        """The switches, in words."""
        return [
            "LRN" if self.lrn else "no LRN",
            f"dropout {self.dropout:g}",
            self.activation.value,
            f"{self.pooling.value.replace('_', '-')} pooling",
            f"{self.columns} column{'s' if self.columns > 1 else ''}",
        ]

    def check(self) -> None:
        super().check()
        check_fraction("model.dropout", self.dropout)
        check(self.columns in (1, 2), "model.columns", self.columns, "1 or 2")
        check_positive("model.width", self.width)
        middle = {"conv3", "conv4", "conv5"}
        check(set(self.removed) <= middle, "model.removed", self.removed, "some of conv3, conv4, conv5")
        check(len(self.filters) == 5, "model.filters", self.filters, "five numbers, conv1 to conv5")
        check(len(self.hidden) == 2, "model.hidden", self.hidden, "two numbers, fc6 and fc7")
        check(min(*self.filters, *self.hidden) > 0, "model.filters and model.hidden", 0, "numbers above 0")
        check(self.conv1_padding >= 0, "model.conv1_padding", self.conv1_padding, "0 or more pixels")
        check(
            self.lrn_size > 0 and self.lrn_size % 2 == 1,
            "model.lrn_size",
            self.lrn_size,
            "an odd number of maps",
        )
        check_positive("model.lrn_k", self.lrn_k)
        check(self.lrn_alpha >= 0, "model.lrn_alpha", self.lrn_alpha, "0 or more")
        check(
            self.canvas_size >= self.image_size,
            "model.canvas_size",
            self.canvas_size,
            f"at least model.image_size={self.image_size} pixels",
        )


@dataclass
class LeNet5Config(ModelConfig):
    """LeNet-5. Images are divided by `input_std` grey levels and averaged down to its 32x32 pixels."""

    family: Family = Family.lenet5
    input_std: float = MISSING

    def check(self) -> None:
        super().check()
        check(self.image_size % 32 == 0, "model.image_size", self.image_size, "a multiple of 32 pixels")
        check_positive("model.input_std", self.input_std)


@dataclass
class TorchvisionConfig(ModelConfig):
    """A classifier of torchvision, by its `name` there.

    Images are divided by `input_std`: the standard deviations of red, green and blue, in grey levels.
    """

    family: Family = Family.torchvision
    input_std: list[float] = MISSING

    def check(self) -> None:
        super().check()
        valid = len(self.input_std) == 3 and min(self.input_std) > 0
        check(valid, "model.input_std", self.input_std, "three numbers above 0, of red, green and blue")


FORMS: dict[str, type[ModelConfig]] = {
    "alexnet": AlexNetConfig,
    "lenet5": LeNet5Config,
    "torchvision": TorchvisionConfig,
}
