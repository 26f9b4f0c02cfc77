"""Initial weights and biases: the published schemes and common defaults."""

import math
from typing import NamedTuple

import torch
from torch import nn

from alexnet.models.families.alexnet import Init

LAYERS = ("conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8")


class InitSpec(NamedTuple):
    """Standard deviation of a layer's normally distributed weights, and its constant bias."""

    weight_std: float
    bias: float


# paper §5: 0.01 in every layer; 1 in the 2nd, 4th and 5th convolution and the hidden layers
_PAPER = dict(
    zip(LAYERS, [InitSpec(0.01, bias) for bias in (0.0, 1.0, 0.0, 1.0, 1.0, 1.0, 1.0, 0.0)], strict=True)
)
# 2012 source, layers-145.cfg (initW, initB): the paper's, but 0.03 in conv3 to conv5
_CUDA_CONVNET_2012 = _PAPER | {
    layer: InitSpec(0.03, _PAPER[layer].bias) for layer in ("conv3", "conv4", "conv5")
}
# Caffe, models/bvlc_alexnet/train_val.prototxt: 0.005 in fc6 and fc7, and 0.1 where the paper has 1
_CAFFE = {
    layer: InitSpec(0.005 if layer in ("fc6", "fc7") else 0.01, 0.1 * spec.bias)
    for layer, spec in _PAPER.items()
}

INIT_SCHEMES = {Init.paper: _PAPER, Init.cuda_convnet_2012: _CUDA_CONVNET_2012, Init.caffe: _CAFFE}


def initialize(network: nn.Module, init: Init, bias: bool = True, width: float = 1) -> None:
    """Initialize the layers named in `LAYERS` that the network has, from torch's default generator.

    Published standard deviations are for the published widths. In a network `width` times as wide a unit
    sums `width` times as many inputs, so the deviations are scaled by 1 / sqrt(width), which leaves the
    variance of pre-activations unchanged; except in conv1, whose input is the image. Without `bias` all
    biases are 0, whatever the scheme. `he` draws from a normal distribution of variance 2 / fan-in, with zero
    biases; `pytorch` is torch's default.
    """
    layers = dict(network.named_children())
    for name in (name for name in LAYERS if name in layers):
        layer = layers[name]
        assert isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Linear) and layer.bias is not None
        if init is Init.pytorch:
            layer.reset_parameters()
        elif init is Init.he:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)
        else:
            spec = INIT_SCHEMES[init][name]
            scale = 1 if name == "conv1" else width
            nn.init.normal_(layer.weight, std=spec.weight_std / math.sqrt(scale))
            nn.init.constant_(layer.bias, spec.bias)
        if not bias:
            nn.init.zeros_(layer.bias)


def saturates(activation: nn.Module) -> bool:
    """Return whether an activation function is bounded above, as tanh and the sigmoid are.

    Biases of 1 give a rectifier positive inputs, for which it learns (paper §5). A bounded function they push
    to where its gradient vanishes.
    """
    with torch.no_grad():
        near, far = activation(torch.tensor([[1e3], [1e4]]))
    return bool(far - near < 1)
