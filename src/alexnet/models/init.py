"""Initial weights and biases: the published schemes and common defaults."""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from alexnet.models.families.alexnet import Init

LAYERS = ("conv1", "conv2", "conv3", "conv4", "conv5", "conv6", "fc6", "fc7", "fc8")


class InitSpec(NamedTuple):
    """Standard deviation of a layer's normally distributed weights, and its constant bias."""

    weight_std: float
    bias: float


# paper §5: 0.01 in every layer; 1 in the 2nd, 4th and 5th convolution and the hidden layers. conv6 is that of
# the 2012 program (layers-146-2012-2011.cfg).
_BIASES = (0.0, 1.0, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0)
_PAPER = dict(zip(LAYERS, [InitSpec(0.01, bias) for bias in _BIASES], strict=True))
# 2012 source, layers-145.cfg (initW, initB): the paper's, but 0.03 in conv3 to conv5, and in conv6
_CUDA_CONVNET_2012 = _PAPER | {
    layer: InitSpec(0.03, _PAPER[layer].bias) for layer in ("conv3", "conv4", "conv5", "conv6")
}
# Caffe, models/bvlc_alexnet/train_val.prototxt: 0.005 in fc6 and fc7, and 0.1 where the paper has 1
_CAFFE = {
    layer: InitSpec(0.005 if layer in ("fc6", "fc7") else 0.01, 0.1 * spec.bias)
    for layer, spec in _PAPER.items()
}
# torchvision.models.vgg: He et al. (2015) in convolutions, 0.01 in fully connected layers. Of pixels, whose
# deviation is some 60, He's rule in all layers makes logits of deviation 15, and a loss of 20 at the start.
_HE = {layer: InitSpec(0.01, 0.0) for layer in ("fc6", "fc7", "fc8")}

INIT_SCHEMES = {
    Init.paper: _PAPER,
    Init.cuda_convnet_2012: _CUDA_CONVNET_2012,
    Init.caffe: _CAFFE,
    Init.he: _HE,
}


class Adaptation(NamedTuple):
    """What a scheme, chosen for rectifiers, needs with an activation function f.

    `biases`: whether biases are the scheme's, else 0. `gain`: factor on the weights of all layers behind an
    activation. `center`: whether the weights of each unit in these layers sum to 0, so that a mean of the
    inputs that is not 0 does not shift it.
    """

    biases: bool = True
    gain: float = 1.0
    center: bool = False


def initialize(network: nn.Module, init: Init, adaptation: Adaptation, width: float = 1) -> None:
    """Initialize the layers named in `LAYERS` that the network has, from torch's default generator.

    Published standard deviations are for the published widths. In a network `width` times as wide a unit
    sums `width` times as many inputs, so the deviations are scaled by 1 / sqrt(width), which leaves the
    variance of pre-activations unchanged; except in conv1, whose input is the image. `he` draws convolutions
    from a normal distribution of variance 2 / fan-in, with zero biases; `pytorch` is torch's default.
    """
    layers = dict(network.named_children())
    for name in (name for name in LAYERS if name in layers):
        layer = layers[name]
        assert isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Linear) and layer.bias is not None
        if init is Init.pytorch:
            layer.reset_parameters()
        elif (spec := INIT_SCHEMES[init].get(name)) is None:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)
        else:
            scale = 1 if name == "conv1" else width
            nn.init.normal_(layer.weight, std=spec.weight_std / math.sqrt(scale))
            nn.init.constant_(layer.bias, spec.bias)
        if not adaptation.biases:
            nn.init.zeros_(layer.bias)
        if name != "conv1":
            adapt_weight(layer.weight, adaptation)


def adapt_to(activation: nn.Module) -> Adaptation:
    """Return what an activation function f needs: nothing, unless it is bounded, as tanh and the sigmoid are.

    Biases of 1 give a rectifier positive inputs, for which it learns (paper §5). A bounded function they push
    to where its gradient vanishes. Its layers pass a signal on, to first order, as f'(0) times the weights:
    the gain is 1 / f'(0), 4 for the sigmoid, whose outputs are also centred on f(0) = 1/2.
    """
    with torch.enable_grad():
        x = torch.tensor([[0.0], [1e3], [1e4]], requires_grad=True)
        at_zero, near, far = y = activation(x)
        if far - near >= 1:
            return Adaptation()
        (slope, *_) = torch.autograd.grad(y.sum(), x)[0]
    return Adaptation(biases=False, gain=1 / float(slope), center=bool(at_zero != 0))


@torch.no_grad()
def adapt_weight(weight: Tensor, adaptation: Adaptation) -> None:
    """Apply gain and centre to a weight (units, ...) behind an activation."""
    if adaptation.center:
        weight -= weight.flatten(1).mean(1).view(-1, *[1] * (weight.dim() - 1))
    weight *= adaptation.gain
