"""Torchvision's classifiers, and the conversion of its state dicts."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from alexnet.errors import UserError, suggest
from alexnet.models.base import ImageClassifier
from alexnet.models.families.torchvision import TorchvisionConfig

# of the inputs for the published weights, in grey levels: red, green, blue
IMAGENET_MEAN = (123.675, 116.28, 103.53)
IMAGENET_STD = (58.395, 57.12, 57.375)

# auxiliary outputs are off, as training has no losses for them; the published weights of these two need
# `transform_input`
INCEPTIONS: dict[str, dict[str, Any]] = {
    name: {"aux_logits": False, "init_weights": True, "transform_input": True}
    for name in ("googlenet", "inception_v3")
}
AUXILIARY = ("aux1.", "aux2.", "AuxLogits.")  # prefixes of their parameters

ALEXNET_LAYERS = {
    "features.0": "conv1",
    "features.3": "conv2",
    "features.6": "conv3",
    "features.8": "conv4",
    "features.10": "conv5",
    "classifier.1": "fc6",
    "classifier.4": "fc7",
    "classifier.6": "fc8",
}


class TorchvisionNetwork(ImageClassifier):
    """`torchvision.models.<config.name>`, with its own initial weights, dropout and normalisation.

    Raises `UserError` for a name that is not among torchvision's classifiers.
    """

    def __init__(self, config: TorchvisionConfig, classes: int) -> None:
        super().__init__(config, classes)
        from torchvision import models  # half a second, which AlexNet need not wait for

        names = models.list_models(module=models)
        if config.name not in names:
            raise UserError(
                f"model.name={config.name}: not among torchvision's classifiers."
                f"{suggest(config.name, names)} Choices: {', '.join(names)}."
            )
        extra = INCEPTIONS.get(config.name, {})
        self.net: nn.Module = models.get_model(config.name, weights=None, num_classes=classes, **extra)
        self.register_buffer("std", torch.tensor(config.input_std).reshape(3, 1, 1), persistent=False)
        self.std: Tensor

    def forward(self, images: Tensor, dropout_seeds: Tensor | None = None) -> Tensor:
        return self.net(images / self.std.to(images.dtype))

    @staticmethod
    def convert_state_dict(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Convert the state dict of torchvision's network to the parameter names of this one."""
        return {f"net.{key}": value for key, value in state.items() if not key.startswith(AUXILIARY)}


def convert_state_dict(state: Mapping[str, Tensor], *, std: Sequence[float] = (1, 1, 1)) -> dict[str, Tensor]:
    """Convert a state dict of torchvision.models.alexnet to the parameter names of `alexnet_torchvision`.

    The weights of conv1 are divided by `std` of red, green and blue, so that the network takes inputs that
    are not divided by it: the published weights are for images of unit variance. Raises `KeyError` for a
    parameter of another network.
    """
    converted = {
        f"{ALEXNET_LAYERS[layer]}.{kind}": value
        for key, value in state.items()
        for layer, _, kind in [key.rpartition(".")]
    }
    converted["conv1.weight"] = converted["conv1.weight"] / torch.tensor(std).reshape(1, 3, 1, 1)
    return converted
