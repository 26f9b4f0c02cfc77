"""A network's weights as a safetensors file, under the network's names, and the mean beside them."""

from pathlib import Path
from typing import Any

from torch import Tensor

from alexnet.export.check import Run
from alexnet.export.description import as_strings
from alexnet.export.from_pixels import FromPixels
from alexnet.export.source import Source
from alexnet.model.build import build_network

MEAN = "mean"  # (3, size, size), to be subtracted from crops


def write(source: Source, description: dict[str, Any], path: Path) -> None:
    """Write `path`, with its description as the file's metadata."""
    from safetensors.torch import save

    trained = source.trained
    tensors = trained.network.state_dict() | {MEAN: trained.crops.mean.float()}
    contiguous = {name: tensor.contiguous() for name, tensor in tensors.items()}
    # save_file would let nobody but the owner read it
    path.write_bytes(save(contiguous, metadata=as_strings(description)))


def load(source: Source, path: Path) -> Run:
    """A network built anew, with the weights of a file."""
    from safetensors.torch import load_file

    weights: dict[str, Tensor] = load_file(path)
    mean = weights.pop(MEAN)
    network = build_network(source.trained.network.config, source.trained.network.classes)
    network.load_state_dict(weights)
    return FromPixels(network.eval(), mean)
