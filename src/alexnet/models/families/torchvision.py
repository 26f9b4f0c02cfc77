"""The classifiers of torchvision."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from omegaconf import MISSING

from alexnet.config.base import check
from alexnet.config.model import ModelConfig, register_model

if TYPE_CHECKING:
    from alexnet.models.torchvision import TorchvisionNetwork


@register_model("torchvision")
@dataclass
class TorchvisionConfig(ModelConfig):
    """A classifier of torchvision, with its `name` there.

    Images are divided by `input_std`: the standard deviations of red, green and blue, in grey levels.
    """

    input_std: list[float] = MISSING

    def build(self, classes: int) -> "TorchvisionNetwork":
        from alexnet.models.torchvision import TorchvisionNetwork

        return TorchvisionNetwork(self, classes)

    def check(self) -> None:
        super().check()
        valid = len(self.input_std) == 3 and min(self.input_std) > 0
        check(valid, "model.input_std", self.input_std, "three numbers above 0, of red, green and blue")
