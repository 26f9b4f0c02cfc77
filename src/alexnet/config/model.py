"""The network."""

from dataclasses import dataclass

from omegaconf import MISSING

from alexnet.choices import Activation, DropoutPlace, DropoutScaling, Init, Layer1Order, Pooling
from alexnet.config.checked import Checked, check, check_fraction, check_positive


@dataclass
class ModelConfig(Checked):
    """One network of the family. Filters, hidden units and strides are those of width 1."""

    name: str = MISSING
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
    image_size: int = MISSING
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

    def check(self) -> None:
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
