"""Floating-point operations of a training step."""

from copy import deepcopy

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from alexnet.models.base import ImageClassifier


def training_flops(network: ImageClassifier) -> int:
    """Count the floating-point operations of training on an image, in matrix products and convolutions."""
    return count_training_flops(network, network.config.image_size)


def forward_flops(network: ImageClassifier) -> int:
    """Count those of classifying an image, in the same way."""
    side = network.config.image_size
    with FlopCounterMode(display=False) as counter:
        _on_meta(network)(torch.empty(1, 3, side, side, device="meta"))
    return counter.get_total_flops()


def count_training_flops(network: nn.Module, side: int) -> int:
    """Count the same for any network whose first layer is a convolution of a (3, side, side) image.

    A multiplication and its addition count as two. The backward pass of a layer costs twice its forward
    pass, for the gradients of its weights and of its input; only the gradient of the images is not computed.
    (torch's count of the backward pass ignores the groups of grouped convolutions.)
    """
    replica = _on_meta(network)
    name, stem = next(item for item in replica.named_modules() if isinstance(item[1], nn.Conv2d))
    images = torch.empty(1, 3, side, side, device="meta", dtype=stem.weight.dtype)
    with FlopCounterMode(display=False) as counter:
        replica(images)
    stem_flops = sum(counter.get_flop_counts()[f"{type(replica).__name__}.{name}"].values())
    return 3 * counter.get_total_flops() - stem_flops


def _on_meta(network: nn.Module) -> nn.Module:
    """Return a copy without memory; in evaluation, as batch normalisation trains on several images only."""
    return deepcopy(network).to("meta").eval()
