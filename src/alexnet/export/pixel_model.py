"""A network with its preprocessing inside, from pixels to logits, and its description."""

import json
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from alexnet.runs.trained_model import TrainedModel

INPUT_NAME, OUTPUT_NAME, BATCH_DIM = "images", "logits", "batch"  # in an exported network


class PixelModel(nn.Module):
    """A network that subtracts the mean itself: float32 crops (N, 3, size, size), RGB 0-255, to logits."""

    mean: Tensor

    def __init__(self, network: nn.Module, mean: Tensor) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", mean)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (N, classes) for crops (N, 3, size, size). The parameter's name is `INPUT_NAME`."""
        return self.network(images - self.mean)


def capture(trained: TrainedModel) -> ExportedProgram:
    """Capture a trained network as a graph of torch's operators, for any number of images."""
    size = trained.crops.size
    example = torch.zeros(2, 3, size, size)  # of one image torch would take the number as fixed
    network = PixelModel(trained.network, trained.crops.mean.float())
    program = torch.export.export(network, (example,), dynamic_shapes={INPUT_NAME: {0: Dim(BATCH_DIM)}})
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # of no use elsewhere, and full of this machine's paths
    return program


def describe(trained: TrainedModel, *, mean_inside: bool) -> dict[str, Any]:
    """Describe a network's input, output, classes and origin as plain data.

    `mean_inside` says whether the exported network subtracts the mean itself.
    """
    size, resize_size = trained.crops.size, trained.resize_size
    return {
        "network": trained.network.config.name,
        "checkpoint": trained.checkpoint.name,
        "image_size": size,
        "resize_size": resize_size,
        "input": {
            "name": INPUT_NAME,
            "shape": [BATCH_DIM, 3, size, size],
            "dtype": "float32",
            "channels": "RGB",
            "values": "0 to 255" if mean_inside else "0 to 255, mean-subtracted",
        },
        "crop": {
            "shorter_side": resize_size,
            "resize": "bilinear, antialiased",
            "then": "centre",
            "size": size,
            "left_and_top": trained.crops.margin // 2,  # in the centre square of resize_size pixels
        },
        "output": {
            "name": OUTPUT_NAME,
            "shape": [BATCH_DIM, len(trained.classes)],
            "probabilities": "softmax",
        },
        "classes": list(trained.classes),
        "class_names": list(trained.class_names),
        "torch": torch.__version__,
        "config": trained.config,
    }


def as_strings(description: dict[str, Any]) -> dict[str, str]:
    """Convert values that are not strings to JSON, for formats whose metadata are strings only."""
    return {key: value if isinstance(value, str) else json.dumps(value) for key, value in description.items()}
