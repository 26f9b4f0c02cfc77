"""Weights to begin with: those of another run, of a file, or those that torchvision publishes."""

from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from alexnet.config import ModelConfig, TorchvisionConfig
from alexnet.data.augmentation import Crops
from alexnet.data.imagenet import class_names
from alexnet.errors import UserError
from alexnet.model.build import build_network
from alexnet.model.classifier import Classifier
from alexnet.model.torchvision import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    TorchvisionNetwork,
    from_torchvision,
)
from alexnet.paths import absolute
from alexnet.run.checkpoint_file import check_shapes, is_state, read_plain
from alexnet.run.trained import Trained, checkpoint_of, without_prefix

PUBLISHED = "torchvision"  # in the place of a file


def start_from(network: Classifier, source: str, classes: tuple[str, ...]) -> str:
    """Load the weights of `source`, a run's folder, a file or "torchvision", and say which.

    The last layer keeps its initial weights unless those are for the same `classes` in the same order.
    Raises `UserError` where there are none, or of another network.
    """
    path, weights, theirs = _read(network.config, source)
    last, ours = network.last_layer, network.state_dict()
    of_last = {name for name in ours if name.startswith(f"{last}.")}
    if theirs is None:  # then their number has to do
        theirs = classes if all(_shape(weights, name) == ours[name].shape for name in of_last) else ()
    if theirs == classes:
        check_shapes(path, weights, ours)
        network.load_state_dict(weights)
        return str(path)
    kept = {name: value for name, value in weights.items() if name not in of_last}
    check_shapes(path, kept, {name: value for name, value in ours.items() if name not in of_last})
    network.load_state_dict(kept, strict=False)
    return f"{path}, all but {last}: its classes are others"


def load_published(config: ModelConfig, source: str, stored_size: int) -> Trained:
    """The network with weights for ImageNet that torchvision publishes, from a file or fetched.

    It sees crops of squares of `stored_size` pixels, less the mean colour of ImageNet. Raises `UserError`
    where the weights cannot be had, or are of another network.
    """
    names = class_names()
    classes = tuple(sorted(names))
    network = build_network(config, len(classes))
    path, weights, _ = _read(config, source)
    check_shapes(path, weights, network.state_dict())
    network.load_state_dict(weights)
    mean = torch.tensor(IMAGENET_MEAN).reshape(3, 1, 1).expand(3, config.image_size, config.image_size)
    crops = Crops(mean.contiguous(), stored_size - config.image_size)
    named = tuple(names[name] for name in classes)
    return Trained(path, network.eval(), crops, stored_size, classes, named, config={})


class _Weights(NamedTuple):
    """Under this program's names; `classes` is None where it is not said which they are for."""

    path: Path
    state: dict[str, Tensor]
    classes: tuple[str, ...] | None = None


def _read(config: ModelConfig, source: str) -> _Weights:
    if source == PUBLISHED:
        return _Weights(Path(PUBLISHED), _named(config, _fetch(config), Path(PUBLISHED)))
    path = absolute(source)
    if path.is_dir():
        path = checkpoint_of(path)
    content = read_plain(path)
    if "state_dict" in content and is_state(content["state_dict"]):
        try:
            classes = tuple(content["ImageDataModule"]["classes"])
        except (KeyError, TypeError) as error:
            raise UserError(f"{path} is no checkpoint of this program: it lacks {error}.") from error
        return _Weights(path, without_prefix(content["state_dict"]), classes)
    if not content or not is_state(content):
        raise UserError(f"{path} holds no weights: neither a checkpoint of this program nor a state dict.")
    return _Weights(path, _named(config, content, path))


def _shape(state: dict[str, Tensor], name: str) -> torch.Size | None:
    return state[name].shape if name in state else None


def _named(config: ModelConfig, state: dict[str, Tensor], path: Path) -> dict[str, Tensor]:
    """A state dict of torchvision's under the names of this program."""
    if isinstance(config, TorchvisionConfig):
        return TorchvisionNetwork.named(state)
    try:
        return from_torchvision(state, std=IMAGENET_STD)
    except KeyError as error:
        raise UserError(f"{path} is of another network: {config.name} has no {error.args[0]}.") from error


def _fetch(config: ModelConfig) -> dict[str, Tensor]:
    theirs = isinstance(config, TorchvisionConfig)
    name = config.name if theirs else "alexnet"
    if not theirs and config.name != "alexnet_torchvision":
        raise UserError(
            f"torchvision publishes no weights of {config.name}. Choose model=alexnet_torchvision, or a"
            " network of torchvision."
        )
    from torchvision import models

    try:
        return models.get_model(name, weights="IMAGENET1K_V1").state_dict()
    except Exception as error:  # of the network in between, of the disk, or of a name that it does not have
        raise UserError(
            f"The weights that torchvision publishes of {name} could not be fetched ({type(error).__name__}:"
            f" {error}). Fetch the file elsewhere, and give its name."
        ) from error
