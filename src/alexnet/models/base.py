"""The base class of all networks."""

from collections.abc import Sequence
from difflib import get_close_matches
from functools import reduce

import torch
from torch import Tensor, nn

from alexnet.config import ModelConfig
from alexnet.errors import UserError


class ImageClassifier(nn.Module):
    """Takes float images (N, 3, config.image_size, config.image_size), raw RGB 0-255 less the mean, and
    returns logits (N, classes). `dropout_seeds` (N,), where a network uses them, decide which units each
    image drops.
    """

    def __init__(self, config: ModelConfig, classes: int) -> None:
        super().__init__()
        self.config = config
        self.classes = classes
        self._frozen: list[str] = []

    def forward(self, images: Tensor, dropout_seeds: Tensor | None = None) -> Tensor:
        raise NotImplementedError

    @property
    def stem(self) -> nn.Conv2d:
        """The one that sees the images."""
        return next(module for module in self.modules() if isinstance(module, nn.Conv2d))

    @property
    def last_layer(self) -> str:
        """The name of the layer whose outputs are the logits; its inputs are the network's features."""
        layers = [
            name
            for name, module in self.named_modules()
            if self.classes in (getattr(module, "out_features", None), getattr(module, "out_channels", None))
        ]
        return layers[-1]

    def freeze(self, layers: Sequence[str]) -> None:
        """Keep the weights of these layers, and of those within them, as they are.

        Raises `UserError` for a layer that the network does not have.
        """
        for name in layers:
            module = self.get_submodule(self._found(name))
            module.requires_grad_(False)
        self._frozen = [self._found(name) for name in layers]

    def train(self, mode: bool = True) -> "ImageClassifier":
        """As torch's; what is frozen stays in evaluation mode, or its statistics would follow the images."""
        super().train(mode)
        for name in self._frozen:
            self.get_submodule(name).eval()
        return self

    def _found(self, layer: str) -> str:
        learned = {
            ".".join(parts[:depth])
            for name, _ in self.named_parameters()
            for parts in [name.split(".")[:-1]]
            for depth in range(1, len(parts) + 1)
        }
        choices = [name for name, _ in self.named_modules() if name in learned]
        if layer in choices:
            return layer
        near = get_close_matches(layer, choices, n=1, cutoff=0.5)
        asked = f" Did you mean {near[0]}?" if near else ""
        raise UserError(f"model.freeze={layer}: no such layer.{asked} Choices: {', '.join(choices)}.")


def mean_over_crops(probabilities: Sequence[Tensor]) -> Tensor:
    """The mean over crops (paper §4.1), of probabilities (N, classes) by each.

    Added up in the order of the crops: torch's mean of a stack has an order that depends on N, so that it
    would round an image's probabilities differently in another batch.
    """
    return reduce(torch.add, probabilities) / len(probabilities)
