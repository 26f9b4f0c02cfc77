"""AlexNet and its variants."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from omegaconf import MISSING

from alexnet.config.base import check, check_fraction, check_positive
from alexnet.config.model import ModelConfig, register_model
from alexnet.config.registry import FieldRegistry
from alexnet.models.activations import ACTIVATIONS

if TYPE_CHECKING:
    from torch import nn

    from alexnet.models.alexnet import AlexNet

AUTO = "auto"  # value of init_bias and init_gain: what the activation function needs


def check_init_gain(gain: float | str) -> None:
    """Raise `UserError` unless a gain is automatic or a number above 0."""
    valid = gain == AUTO or (not isinstance(gain, str) and gain > 0)
    check(valid, "model.init_gain", gain, "auto, or a number above 0")


class Pooling(Enum):
    """Max pooling after conv1, conv2 and conv5, with stride 2: 3x3 windows, or 2x2 windows."""

    overlapping = "overlapping"
    non_overlapping = "non_overlapping"


class Layer1Order(Enum):
    """Order of the operations between conv1 and conv2."""

    activation_lrn_pool = "activation_lrn_pool"
    lrn_pool_activation = "lrn_pool_activation"


class DropoutScaling(Enum):
    """When dropout scales activations: by 1 - p at test time, or by 1 / (1 - p) in training."""

    test = "test"
    train = "train"


class DropoutPlace(Enum):
    """Whether dropout applies to the outputs or to the inputs of fc6 and fc7."""

    output = "output"
    input = "input"


class Init(Enum):
    """Scheme of the initial weights and biases, see `alexnet.models.init`."""

    paper = "paper"
    cuda_convnet_2012 = "cuda_convnet_2012"
    caffe = "caffe"
    pytorch = "pytorch"
    he = "he"


@register_model("alexnet")
@dataclass
class AlexNetConfig(ModelConfig):
    """AlexNet and its variants. `filters` and `fc_units` are those of width 1.

    Each normalization that is registered adds a switch with its name, such as `batch_norm`.
    """

    # the switches
    lrn: bool = MISSING
    dropout: float = MISSING
    activation: str = MISSING
    pooling: Pooling = MISSING
    columns: int = MISSING
    cross_column: bool = MISSING
    init: Init = MISSING
    init_bias: bool | str = MISSING
    init_gain: int | float | str = MISSING
    remove_layers: list[str] = MISSING
    conv6: bool = False
    width: float = MISSING
    # input
    canvas_size: int = MISSING
    conv1_padding: int = MISSING
    # layers
    filters: list[int] = MISSING
    fc_units: list[int] = MISSING
    layer1_order: Layer1Order = MISSING
    spatial_norm: bool = MISSING
    lrn_size: int = MISSING
    lrn_k: float = MISSING
    lrn_alpha: float = MISSING
    lrn_beta: float = MISSING
    lrn_cross_column: bool = False
    dropout_scaling: DropoutScaling = MISSING
    dropout_place: DropoutPlace = MISSING

    @property
    def features(self) -> list[str]:
        """The switches, in words."""
        return [
            "LRN" if self.lrn else "no LRN",
            f"dropout {self.dropout:g}",
            self.activation,
            f"{self.pooling.value.replace('_', '-')} pooling",
            f"{self.columns} column{'s' if self.columns > 1 else ''}",
            *(name.replace("_", " ") for name in NORMALIZATIONS.switched_on(self)),
        ]

    def check(self) -> None:
        super().check()
        ACTIVATIONS[self.activation]  # raises for a name that there is not
        normalizations = [f"model.{name}" for name in NORMALIZATIONS.switched_on(self)]
        check(len(normalizations) <= 1, " and ".join(normalizations), True, "one of them alone")
        bias, gain = self.init_bias, self.init_gain
        check(bias in (True, False, AUTO), "model.init_bias", bias, "auto, true or false")
        check_init_gain(gain)
        check_fraction("model.dropout", self.dropout)
        check(self.columns in (1, 2), "model.columns", self.columns, "1 or 2")
        check_positive("model.width", self.width)
        middle = {"conv3", "conv4", "conv5"}
        check(
            set(self.remove_layers) <= middle,
            "model.remove_layers",
            self.remove_layers,
            "a list of some of conv3, conv4, conv5",
        )
        check(len(self.filters) == 5, "model.filters", self.filters, "five numbers, conv1 to conv5")
        check(len(self.fc_units) == 2, "model.fc_units", self.fc_units, "two numbers, fc6 and fc7")
        for key in ("filters", "fc_units"):
            numbers = getattr(self, key)
            check(min(numbers) > 0, f"model.{key}", numbers, "numbers above 0")
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

    def build(self, classes: int) -> "AlexNet":
        from alexnet.models.alexnet import AlexNet

        return AlexNet(self, classes)


# builders of normalizations of (N, channels, H, W), between each convolution and its activation
NORMALIZATIONS: "FieldRegistry[Callable[[int], nn.Module]]" = FieldRegistry(
    "normalization", "model", AlexNetConfig, package="alexnet.models.normalizations"
)
register_normalization = NORMALIZATIONS.register
