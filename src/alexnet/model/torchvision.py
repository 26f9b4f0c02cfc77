"""Names of torchvision's AlexNet parameters in this package's network."""

from collections.abc import Mapping

from torch import Tensor

LAYERS = {
    "features.0": "conv1",
    "features.3": "conv2",
    "features.6": "conv3",
    "features.8": "conv4",
    "features.10": "conv5",
    "classifier.1": "fc6",
    "classifier.4": "fc7",
    "classifier.6": "fc8",
}


def from_torchvision(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state dict of torchvision.models.alexnet under the names of the `alexnet_torchvision` preset.

    The network then gives the same outputs for the same inputs; those of the published weights
    are images scaled to unit variance. Raises `KeyError` for a parameter of another network.
    """
    return {
        f"{LAYERS[layer]}.{kind}": value
        for key, value in state.items()
        for layer, _, kind in [key.rpartition(".")]
    }
