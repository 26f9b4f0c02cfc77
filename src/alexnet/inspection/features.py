"""What the last layer of a network sees: of AlexNet the activity of fc7."""

from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn

from alexnet.inspection.layers import evaluating, learned_layers


def feature_vectors(network: nn.Module, images: Tensor) -> Tensor:
    """The input of the layer that runs last, in evaluation mode: (N, features) for images (N, 3, H, W).

    Maps, where that layer is a convolution, are averaged over their places.
    """
    seen: list[Tensor] = []

    def about_to_run(layer: nn.Module, arguments: tuple[Any, ...]) -> None:
        seen[:] = [arguments[0]]

    with ExitStack() as hooks, evaluating(network), torch.no_grad():
        for layer in learned_layers(network).values():
            hooks.callback(layer.register_forward_pre_hook(about_to_run).remove)
        network.forward(images)
    (last,) = seen
    return last.mean((2, 3)) if last.ndim == 4 else last.flatten(1)
