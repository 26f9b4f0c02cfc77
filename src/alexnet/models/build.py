"""Networks built from their configurations."""

from alexnet.config import ModelConfig
from alexnet.models.base import ImageClassifier


def build_network(config: ModelConfig, classes: int) -> ImageClassifier:
    """Build a network, with initial weights drawn from torch's default generator.

    Raises `UserError` for values that do not define a valid network.
    """
    network = config.build(classes)
    network.freeze(config.freeze)
    return network
