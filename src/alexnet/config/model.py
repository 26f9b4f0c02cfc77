"""Configuration of the network: one class per family."""

from dataclasses import dataclass, field
from enum import Enum
from typing import get_args, get_type_hints

from omegaconf import MISSING

from alexnet.config.base import ValidatedConfig, check, check_fraction, check_positive


class Family(Enum):
    """Family of networks, each with its own configuration class."""

    alexnet = "alexnet"
    lenet5 = "lenet5"
    torchvision = "torchvision"


class Activation(Enum):
    """Activation function after every layer but the last."""

    relu = "relu"
    tanh = "tanh"
    sigmoid = "sigmoid"
    identity = "identity"


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


@dataclass
class ModelConfig(ValidatedConfig):
    """Configuration shared by all networks. A family adds its own keys, see `for_family`."""

    family: Family = MISSING
    name: str = MISSING
    image_size: int = MISSING
    pretrained: str | None = None
    freeze: list[str] = field(default_factory=list)

    @property
    def columns(self) -> int:
        """Number of columns into which the network is divided."""
        return 1

    @property
    def features(self) -> list[str]:
        """Properties of the network for display beside its name, in words."""
        return []

    def check(self) -> None:
        check(self.image_size >= 1, "model.image_size", self.image_size, "1 or more pixels")

    @staticmethod
    def for_family(family: Family | str | None) -> "type[ModelConfig]":
        """Return the configuration class of a family; AlexNet's if none is given, as in old runs."""
        return MODEL_CONFIGS.get(family.value if isinstance(family, Family) else str(family), AlexNetConfig)


@dataclass
class AlexNetConfig(ModelConfig):
    """AlexNet and its variants. `filters` and `fc_units` are those of width 1."""

    family: Family = Family.alexnet
    # the switches
    lrn: bool = MISSING
    dropout: float = MISSING
    activation: Activation = MISSING
    pooling: Pooling = MISSING
    columns: int = MISSING
    cross_column: bool = MISSING
    init: Init = MISSING
    init_bias: bool = MISSING
    remove_layers: list[str] = MISSING
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


@dataclass
class LeNet5Config(ModelConfig):
    """LeNet-5. Images are divided by `input_std`, in grey levels, and average-pooled to 32x32 pixels."""

    family: Family = Family.lenet5
    input_std: float = MISSING

    def check(self) -> None:
        super().check()
        check(self.image_size % 32 == 0, "model.image_size", self.image_size, "a multiple of 32 pixels")
        check_positive("model.input_std", self.input_std)


@dataclass
class TorchvisionConfig(ModelConfig):
    """A classifier of torchvision, with its `name` there.

    Images are divided by `input_std`: the standard deviations of red, green and blue, in grey levels.
    """

    family: Family = Family.torchvision
    input_std: list[float] = MISSING

    def check(self) -> None:
        super().check()
        valid = len(self.input_std) == 3 and min(self.input_std) > 0
        check(valid, "model.input_std", self.input_std, "three numbers above 0, of red, green and blue")


MODEL_CONFIGS: dict[str, type[ModelConfig]] = {
    "alexnet": AlexNetConfig,
    "lenet5": LeNet5Config,
    "torchvision": TorchvisionConfig,
}


def has_network(schema: type) -> bool:
    """Return whether a schema's `model` is the configuration of a network."""
    model = get_type_hints(schema).get("model")
    return ModelConfig in (model, *get_args(model))
