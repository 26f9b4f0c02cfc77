"""The 2012 program's networks for CIFAR-10."""

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from omegaconf import MISSING

from alexnet.config.base import check, check_positive
from alexnet.config.model import ModelConfig, register_model
from alexnet.models.activations import ACTIVATIONS
from alexnet.models.families.alexnet import check_init_gain

if TYPE_CHECKING:
    from alexnet.models.convnet import ConvNet


class PoolKind(Enum):
    """The maximum or the mean of a 3x3 window."""

    max = "max"
    avg = "avg"


class NormPlace(Enum):
    """Where a convolution's maps are normalised, where `lrn` is on."""

    before_pool = "before_pool"
    after_pool = "after_pool"
    none = "none"


class NormRegion(Enum):
    """Region of a normalisation: maps at the same position, or positions in the same map."""

    across_maps = "across_maps"
    within_maps = "within_maps"


@register_model("convnet")
@dataclass
class ConvNetConfig(ModelConfig):
    """Convolutions, each with a pooling, locally connected layers, and a fully connected layer.

    `conv_filters`, `conv_std`, `pooling` and `lrn_place` have a value for each convolution, `local_filters`
    one for each locally connected layer.
    """

    # the switches
    lrn: bool = MISSING
    activation: str = MISSING
    # layers
    conv_filters: list[int] = MISSING
    pooling: list[PoolKind] = MISSING
    local_filters: list[int] = MISSING
    lrn_place: list[NormPlace] = MISSING
    lrn_region: NormRegion = MISSING
    lrn_size: int = MISSING
    lrn_k: float = MISSING
    lrn_alpha: float = MISSING
    lrn_beta: float = MISSING
    # initial weights
    conv_std: list[float] = MISSING
    local_std: float = MISSING
    fc_std: float = MISSING
    init_gain: int | float | str = MISSING

    @property
    def features(self) -> list[str]:
        """The switches, in words."""
        return ["LRN" if self.lrn else "no LRN", self.activation]

    def check(self) -> None:
        super().check()
        ACTIVATIONS[self.activation]  # raises for a name that there is not
        count = len(self.conv_filters)
        check(count > 0, "model.conv_filters", self.conv_filters, "a number for each convolution")
        for key in ("conv_std", "pooling", "lrn_place"):
            values = getattr(self, key)
            check(len(values) == count, f"model.{key}", values, f"{count} values, one for each convolution")
        for key in ("conv_filters", "conv_std", "local_filters"):
            values = getattr(self, key)
            check(min(values, default=1) > 0, f"model.{key}", values, "numbers above 0")
        for key in ("local_std", "fc_std", "lrn_k"):
            check_positive(f"model.{key}", getattr(self, key))
        odd = self.lrn_size > 0 and self.lrn_size % 2 == 1
        check(odd, "model.lrn_size", self.lrn_size, "an odd number of maps or pixels")
        check(self.lrn_alpha >= 0, "model.lrn_alpha", self.lrn_alpha, "0 or more")
        check_init_gain(self.init_gain)

    def build(self, classes: int) -> "ConvNet":
        from alexnet.models.convnet import ConvNet

        return ConvNet(self, classes)
