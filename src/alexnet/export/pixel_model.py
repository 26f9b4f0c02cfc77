"""A network with its preprocessing inside: pixels in, logits out; and its description."""

import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from alexnet.runs.trained_model import TrainedModel

IMAGES, LOGITS, BATCH = "images", "logits", "batch"  # names in an exported network


class FromPixels(nn.Module):
    """Float32 crops (N, 3, size, size), RGB 0-255, to logits (N, classes): subtracts the mean itself."""

    mean: Tensor

    def __init__(self, network: nn.Module, mean: Tensor) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", mean)

    def forward(self, images: Tensor) -> Tensor:
        return self.network(images - self.mean)


def capture(trained: TrainedModel) -> ExportedProgram:
    """The network from pixels as a graph of torch's own operations, for any number of images."""
    size = trained.crops.size
    example = torch.zeros(2, 3, size, size)  # of one image torch would take the number as fixed
    network = FromPixels(trained.network, trained.crops.mean.float())
    program = torch.export.export(network, (example,), dynamic_shapes={IMAGES: {0: Dim(BATCH)}})
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # of no use elsewhere, and full of this machine's paths
    return program


@dataclass(frozen=True)
class ExportSource:
    """A trained network, and as a graph, which is captured once for all formats that hold one.

    `opset` is the version of ONNX's operators that is asked for; None: torch's choice.
    """

    trained: TrainedModel
    opset: int | None = None

    @cached_property
    def program(self) -> ExportedProgram:
        return capture(self.trained)


def describe(trained: TrainedModel, *, mean_inside: bool) -> dict[str, Any]:
    """Plain data: how to make an input of a photograph, what the outputs are, where the weights are from."""
    size, stored = trained.crops.size, trained.resize_size
    border = trained.crops.margin // 2
    return {
        "network": trained.network.config.name,
        "checkpoint": trained.checkpoint.name,
        "image_size": size,
        "resize_size": stored,
        "input": {
            "name": IMAGES,
            "shape": [BATCH, 3, size, size],
            "dtype": "float32",
            "channels": "RGB",
            "values": "0 to 255" if mean_inside else "0 to 255, less mean",
        },
        "crop": {
            "shorter_side": stored,
            "resize": "bilinear, antialiased",
            "then": "centre",
            "size": size,
            "left_and_top": border,  # in the centre square of stored x stored pixels
        },
        "output": {"name": LOGITS, "shape": [BATCH, len(trained.classes)], "probabilities": "softmax"},
        "classes": list(trained.classes),
        "class_names": list(trained.class_names),
        "torch": torch.__version__,
        "config": trained.config,
    }


def as_strings(description: dict[str, Any]) -> dict[str, str]:
    """For what keeps strings alone: whatever is none, as JSON."""
    return {key: value if isinstance(value, str) else json.dumps(value) for key, value in description.items()}
