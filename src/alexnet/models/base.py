"""The base class of all networks."""

from collections.abc import Sequence
from functools import reduce

import torch
from torch import Tensor, nn

from alexnet.config import ModelConfig
from alexnet.errors import UserError, suggest


class ImageClassifier(nn.Module):
    """An image classification network.

    Takes float images (N, 3, config.image_size, config.image_size), mean-subtracted RGB 0-255, and returns
    logits (N, classes). In networks that use them, `dropout_seeds` (N,) determine the units dropped for each
    image.
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
        """The first convolution."""
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
        """Exclude these layers, and those within them, from training.

        Raises `UserError` for a layer that the network does not have.
        """
        for name in layers:
            self._require_layer(name)
            self.get_submodule(name).requires_grad_(False)
        self._frozen = list(layers)

    def train(self, mode: bool = True) -> "ImageClassifier":
        """Set the mode; frozen layers stay in evaluation mode, which fixes their statistics."""
        super().train(mode)
        for name in self._frozen:
            self.get_submodule(name).eval()
        return self

    def _require_layer(self, layer: str) -> None:
        with_parameters = {
            ".".join(parts[:depth])
            for name, _ in self.named_parameters()
            for parts in [name.split(".")[:-1]]
            for depth in range(1, len(parts) + 1)
        }
        choices = [name for name, _ in self.named_modules() if name in with_parameters]
        if layer not in choices:
            raise UserError(
                f"model.freeze={layer}: no such layer.{suggest(layer, choices)}"
                f" Choices: {', '.join(choices)}."
            )


def mean_over_crops(probabilities: Sequence[Tensor]) -> Tensor:
    """Average the probabilities (N, classes) of several crops (paper §4.1).

    Sums in the order of the crops: torch's mean of a stack sums in an order that depends on N, so that the
    rounding of an image's probabilities would depend on its batch.
    """
    return reduce(torch.add, probabilities) / len(probabilities)
