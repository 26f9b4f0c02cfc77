"""Configuration of the network: what all families share."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from omegaconf import MISSING

from alexnet.config.base import InputPath, ValidatedConfig, check
from alexnet.config.registry import ConfigRegistry

if TYPE_CHECKING:
    from alexnet.models.base import ImageClassifier


@dataclass
class ModelConfig(ValidatedConfig):
    """A network. A family of networks adds its own keys."""

    required_methods: ClassVar[tuple[str, ...]] = ("build",)

    family: str = MISSING
    name: str = MISSING
    image_size: int = MISSING
    pretrained: InputPath | None = None
    freeze: list[str] = field(default_factory=list)

    @property
    def columns(self) -> int:
        """Number of columns into which the network is divided."""
        return 1

    @property
    def features(self) -> list[str]:
        """Properties of the network for display beside its name, in words."""
        return []

    def build(self, classes: int) -> "ImageClassifier":
        """Build the network, with initial weights drawn from torch's default generator.

        Raises `UserError` for values that do not define a valid network.
        """
        raise NotImplementedError

    def check(self) -> None:
        check(self.image_size >= 1, "model.image_size", self.image_size, "1 or more pixels")


# configurations of before have no family
MODELS = ConfigRegistry(
    "family of networks", ModelConfig, "model", "family", package="alexnet.models.families", default="alexnet"
)
register_model = MODELS.register
