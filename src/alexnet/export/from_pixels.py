"""A network that needs nothing beside it: pixels in, logits out."""

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from alexnet.run.trained import Trained

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


def capture(trained: Trained) -> ExportedProgram:
    """The network from pixels as a graph of torch's own operations, for any number of images."""
    size = trained.crops.size
    example = torch.zeros(2, 3, size, size)  # of one image torch would take the number as fixed
    network = FromPixels(trained.network, trained.crops.mean.float())
    program = torch.export.export(network, (example,), dynamic_shapes={IMAGES: {0: Dim(BATCH)}})
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # of no use elsewhere, and full of this machine's paths
    return program
