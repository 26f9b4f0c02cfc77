"""The networks for CIFAR-10 that came with the 2012 program (cuda-convnet, example-layers/).

The paper's figure 1 and §3.3 are about a "four-layer" network on CIFAR-10; §3.3 points to the program.
"""

import torch
from torch import Tensor, nn

from alexnet.errors import UserError
from alexnet.models.base import ImageClassifier
from alexnet.models.families.alexnet import AUTO
from alexnet.models.families.convnet import ConvNetConfig, NormPlace, NormRegion, PoolKind
from alexnet.models.init import Adaptation, adapt_to, adapt_weight
from alexnet.models.locally_connected import LocallyConnected2d
from alexnet.models.lrn import LocalResponseNorm, SpatialResponseNorm
from alexnet.models.registered import build_activation

CONV_KERNEL, LOCAL_KERNEL = 5, 3  # pixels


class ConvNet(ImageClassifier):
    """5x5 convolutions with pooling, 3x3 locally connected layers, and a fully connected layer.

    Takes float images (N, 3, image_size, image_size), mean-subtracted RGB 0-255, and returns logits
    (N, classes). All biases are 0 at the beginning. Layers are numbered as in the 2012 program: conv1, conv2,
    local3, local4; the last one is `fc`.

    Raises `UserError` if the image is too small.
    """

    config: ConvNetConfig

    def __init__(self, config: ConvNetConfig, classes: int) -> None:
        super().__init__(config, classes)
        adaptation = _adaptation(config)
        channels, side = 3, config.image_size
        for index, filters in enumerate(config.conv_filters):
            number = index + 1
            if side < 3:
                raise UserError(f"model.image_size={config.image_size}: too small for {number} poolings.")
            conv = nn.Conv2d(channels, filters, CONV_KERNEL, padding=CONV_KERNEL // 2)
            _initialize(conv, config.conv_std[index], adaptation if index else Adaptation())
            self.add_module(f"conv{number}", conv)
            self.add_module(f"activation{number}", build_activation(config.activation))
            place = config.lrn_place[index] if config.lrn else NormPlace.none
            if place is NormPlace.before_pool:
                self.add_module(f"norm{number}", _norm(config))
            self.add_module(f"pool{number}", _pool(config.pooling[index]))
            if place is NormPlace.after_pool:
                self.add_module(f"norm{number}", _norm(config))
            channels, side = filters, side // 2
        for number, filters in enumerate(config.local_filters, len(config.conv_filters) + 1):
            local = LocallyConnected2d(channels, filters, LOCAL_KERNEL, side)
            _initialize(local, config.local_std, adaptation)
            self.add_module(f"local{number}", local)
            self.add_module(f"activation{number}", build_activation(config.activation))
            channels = filters
        self.flat = nn.Flatten()
        self.fc = nn.Linear(channels * side * side, classes)
        _initialize(self.fc, config.fc_std, adaptation)

    def forward(self, images: Tensor, dropout_seeds: Tensor | None = None) -> Tensor:
        x = images
        for layer in self.children():
            x = layer(x)
        return x


def _adaptation(config: ConvNetConfig) -> Adaptation:
    """Return how weights are adapted to the activation function; the scheme has no biases."""
    if config.init_gain != AUTO:
        return Adaptation(gain=float(config.init_gain))
    with torch.device("cpu"):  # the network itself may be built without memory
        return adapt_to(build_activation(config.activation))


def _initialize(layer: nn.Module, std: float, adaptation: Adaptation) -> None:
    weight, bias = layer.weight, layer.bias
    assert isinstance(weight, Tensor) and isinstance(bias, Tensor)
    nn.init.normal_(weight, std=std)
    nn.init.zeros_(bias)
    adapt_weight(weight, adaptation)


def _norm(config: ConvNetConfig) -> nn.Module:
    constants = (config.lrn_size, config.lrn_k, config.lrn_alpha, config.lrn_beta)
    across = config.lrn_region is NormRegion.across_maps
    return LocalResponseNorm(*constants) if across else SpatialResponseNorm(*constants)


def _pool(kind: PoolKind) -> nn.Module:
    # the last window may extend beyond the maps, as in the 2012 program (outputsX=0): 24 -> 12, 32 -> 16
    if kind is PoolKind.max:
        return nn.MaxPool2d(3, stride=2, ceil_mode=True)
    return nn.AvgPool2d(3, stride=2, ceil_mode=True)
