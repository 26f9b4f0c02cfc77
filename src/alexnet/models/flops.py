"""Floating-point operations of a training step."""

from copy import deepcopy

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from alexnet.models.base import ImageClassifier


def training_flops(network: ImageClassifier) -> int:
    """Floating-point operations of one image's training: products and convolutions alone."""
    return count_training_flops(network, network.config.image_size)


def count_training_flops(network: nn.Module, side: int) -> int:
    """`training_flops` of any network that begins with a convolution of an image of `side` pixels.

    A multiplication and its addition are two. Backward each layer takes its forward pass twice, for its
    weights and for its input; but the images' own gradient is not computed. (torch's own count
    of the backward pass takes grouped convolutions as if they were not.)
    """
    twin = deepcopy(network).to("meta").eval()  # else normalisation wants more than one image
    name, conv1 = next(item for item in twin.named_modules() if isinstance(item[1], nn.Conv2d))
    images = torch.empty(1, 3, side, side, device="meta", dtype=conv1.weight.dtype)
    with FlopCounterMode(display=False) as counter:
        twin(images)
    first = sum(counter.get_flop_counts()[f"{type(twin).__name__}.{name}"].values())
    return 3 * counter.get_total_flops() - first
