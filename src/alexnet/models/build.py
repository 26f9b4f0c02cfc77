"""Networks built from their configurations."""

from alexnet.config import AlexNetConfig, LeNet5Config, ModelConfig, TorchvisionConfig
from alexnet.models.alexnet import AlexNet
from alexnet.models.base import ImageClassifier
from alexnet.models.lenet5 import LeNet5
from alexnet.models.torchvision import TorchvisionNetwork


def build_network(config: ModelConfig, classes: int) -> ImageClassifier:
    """Build a network, with initial weights drawn from torch's default generator.

    Raises `UserError` for values that do not define a valid network.
    """
    network: ImageClassifier
    match config:
        case AlexNetConfig():
            network = AlexNet(config, classes)
        case LeNet5Config():
            network = LeNet5(config, classes)
        case TorchvisionConfig():
            network = TorchvisionNetwork(config, classes)
        case _:
            raise TypeError(f"{type(config).__name__} does not belong to a family of networks")
    network.freeze(config.freeze)
    return network
