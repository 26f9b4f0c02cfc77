"""Torchvision's classifiers, and its AlexNet's weights in this package's network."""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

import torch
from torch import Tensor, nn

from alexnet.config import TorchvisionConfig
from alexnet.errors import UserError
from alexnet.models.base import ImageClassifier

# of the images that the published weights were trained on, in grey levels: red, green, blue
IMAGENET_MEAN = (123.675, 116.28, 103.53)
IMAGENET_STD = (58.395, 57.12, 57.375)

# auxiliary outputs have losses of their own, which the training here does not; published weights of
# these two are for inputs that they transform
INCEPTIONS: dict[str, dict[str, Any]] = {
    name: {"aux_logits": False, "init_weights": True, "transform_input": True}
    for name in ("googlenet", "inception_v3")
}
AUXILIARY = ("aux1.", "aux2.", "AuxLogits.")  # their parameters in published weights

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
        from torchvision import models  # takes half a second, for which AlexNet need not wait

        known = models.list_models(module=models)
        if config.name not in known:
            near = get_close_matches(config.name, known, n=1, cutoff=0.5)
            asked = f" Did you mean {near[0]}?" if near else ""
            raise UserError(
                f"model.name={config.name}: not among torchvision's classifiers.{asked}"
                f" Choices: {', '.join(known)}."
            )
        extra = INCEPTIONS.get(config.name, {})
        self.net: nn.Module = models.get_model(config.name, weights=None, num_classes=classes, **extra)
        self.register_buffer("std", torch.tensor(config.input_std).reshape(3, 1, 1), persistent=False)
        self.std: Tensor

    def forward(self, images: Tensor, dropout_seeds: Tensor | None = None) -> Tensor:
        return self.net(images / self.std.to(images.dtype))

    @staticmethod
    def named(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """A state dict of torchvision's network under the names of this one."""
        return {f"net.{key}": value for key, value in state.items() if not key.startswith(AUXILIARY)}


def convert_state_dict(state: Mapping[str, Tensor], *, std: Sequence[float] = (1, 1, 1)) -> dict[str, Tensor]:
    """A state dict of torchvision.models.alexnet under the names of the `alexnet_torchvision` preset.

    The network then gives the outputs that theirs gives for the same inputs divided by `std`, of red, green
    and blue: the published weights are for images of unit variance.
    Raises `KeyError` for a parameter of another network.
    """
    ours = {
        f"{ALEXNET_LAYERS[layer]}.{kind}": value
        for key, value in state.items()
        for layer, _, kind in [key.rpartition(".")]
    }
    ours["conv1.weight"] = ours["conv1.weight"] / torch.tensor(std).reshape(1, 3, 1, 1)
    return ours
