"""LeNet-5."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from omegaconf import MISSING

from alexnet.config.base import check, check_positive
from alexnet.config.model import ModelConfig, register_model

if TYPE_CHECKING:
    from alexnet.models.lenet5 import LeNet5


@register_model("lenet5")
@dataclass
class LeNet5Config(ModelConfig):
    """LeNet-5. Images are divided by `input_std`, in grey levels, and average-pooled to 32x32 pixels."""

    input_std: float = MISSING

    def check(self) -> None:
        super().check()
        check(self.image_size % 32 == 0, "model.image_size", self.image_size, "a multiple of 32 pixels")
        check_positive("model.input_std", self.input_std)

    def build(self, classes: int) -> "LeNet5":
        from alexnet.models.lenet5 import LeNet5

        return LeNet5(self, classes)
