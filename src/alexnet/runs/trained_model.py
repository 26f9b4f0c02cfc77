"""Networks with trained weights: from a run, a checkpoint, or published ones."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import torch
from torch import Tensor

from alexnet.config import DataConfig, ModelConfig, ValCrops
from alexnet.config.extensions import require_extensions
from alexnet.config.reading import read_saved
from alexnet.config.renamed import migrate
from alexnet.data.augmentation import Crops
from alexnet.data.imagenet_classes import class_names
from alexnet.errors import UserError
from alexnet.hardware import ieee_float32
from alexnet.models.base import ImageClassifier, mean_over_crops
from alexnet.models.build import build_network
from alexnet.models.families.torchvision import TorchvisionConfig
from alexnet.models.torchvision import IMAGENET_MEAN, IMAGENET_STD, TorchvisionNetwork, convert_state_dict
from alexnet.paths import absolute, command_for
from alexnet.runs.checkpoint_io import check_shapes, is_state, read_checkpoint, read_plain, weights_to_use
from alexnet.runs.resume import read_run_config

PREFIX = "network."  # of the network's weights in a checkpoint


@dataclass(frozen=True)
class TrainedModel:
    """A network in evaluation mode on the CPU, with its preprocessing and classes.

    `crops` makes its inputs from uint8 images (N, 3, S, S), S = `resize_size`. `classes` and `class_names`
    are in the order of its logits. `config` is the resolved configuration of its run, empty without one.
    """

    checkpoint: Path
    network: ImageClassifier
    crops: Crops
    resize_size: int
    classes: tuple[str, ...]
    class_names: tuple[str, ...]
    config: dict[str, Any] = field(default_factory=dict)


def load_trained_model(run: str | None, checkpoint: str | None) -> TrainedModel:
    """Load the network of a run, with its best or else its last weights, or that of a `checkpoint`.

    Raises `UserError` if there is no checkpoint, or if it is not one of this program.
    """
    path = checkpoint_of(absolute(run)) if run is not None else absolute(str(checkpoint))
    content = read_checkpoint(path)
    try:
        config, data = migrate(content["config"]), content["ImageDataModule"]
        require_extensions(config.get("extensions"), path)
        model = read_saved(config["model"], ModelConfig, path)
        resize_size = int(config["data"]["resize_size"])
        classes, names, mean = tuple(data["classes"]), tuple(data["class_names"]), data["mean"]
        margin = resize_size - mean.shape[-1]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{path} is not a checkpoint of this program: it lacks {error}.") from error
    network = build_network(model, len(classes))
    weights = without_prefix(weights_to_use(content))
    check_shapes(path, weights, network.state_dict())
    network.load_state_dict(weights)
    return TrainedModel(
        path, network.eval().float(), Crops(mean, margin), resize_size, classes, names, config
    )


def training_data_config(saved: dict[str, Any], file: Path, root: str | None) -> DataConfig:
    """Return the data on which a network was trained, by its configuration `saved` in `file`.

    `root` is the current folder of the images, if they have been moved. Raises `UserError` if the
    configuration has no data.
    """
    try:
        config = read_saved(saved["data"], DataConfig, file)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{file} does not define the training data.") from error
    if root is None:
        return config
    return replace(config, root=str(absolute(root)), pack=None)  # a pack holds the images of the old root


def checkpoint_of(folder: Path) -> Path:
    """Return a run's best or else its last checkpoint. Raises `UserError` if the folder holds none."""
    read_run_config(folder)  # raises for other folders
    for name in ("best.ckpt", "last.ckpt"):
        if (path := folder / "checkpoints" / name).is_file():
            return path
    raise UserError(f"{folder}: this run has no checkpoint. Train one with callbacks.checkpoint.last=true.")


def without_prefix(state: dict[str, Any]) -> dict[str, Tensor]:
    """Return the network's part of a checkpoint's state dict, with the network's own names."""
    return {name.removeprefix(PREFIX): value for name, value in state.items() if name.startswith(PREFIX)}


CENTER = 4  # index of the centre among the ten crops


def probabilities(trained: TrainedModel, images: Tensor, crops: ValCrops, device: torch.device) -> Tensor:
    """Return class probabilities (N, classes), on the CPU, of uint8 images (N, 3, S, S).

    With ten crops they are the mean of the crops' softmax outputs (paper §4.1).
    """
    return probabilities_by_crops(trained, images, [crops], device)[crops]


@ieee_float32()
def probabilities_by_crops(
    trained: TrainedModel,
    images: Tensor,
    kinds: Collection[ValCrops],
    device: torch.device,
    *,
    bfloat16: bool = False,
) -> dict[ValCrops, Tensor]:
    """Return `probabilities` for several kinds of crops in one pass: the centre is one of the ten.

    With `bfloat16` layers compute as in training with bf16-mixed, else in float32.
    """
    network, images = trained.network.to(device), images.to(device)

    def softmax(crop: Tensor) -> Tensor:
        with torch.autocast(device.type, torch.bfloat16, enabled=bfloat16):
            logits = network(crop)
        return logits.float().softmax(1)

    with torch.inference_mode():
        if ValCrops.ten not in kinds:
            return {ValCrops.center: softmax(trained.crops.center(images)).cpu()}
        of_crops = [softmax(crop) for crop in trained.crops.ten(images).unbind(1)]
        by_kind = {ValCrops.center: of_crops[CENTER].cpu(), ValCrops.ten: mean_over_crops(of_crops).cpu()}
        return {kind: by_kind[kind] for kind in kinds}


PUBLISHED = "torchvision"  # the source of published weights
OF_TRAINING = {"pretrained", "freeze"}  # keys of a network that do not change its layers


def load_pretrained(network: ImageClassifier, source: str, classes: tuple[str, ...]) -> str:
    """Load the weights of `source`, a run's folder, a file or "torchvision"; return a description of them.

    The last layer keeps its initial weights unless the source has the same `classes` in the same order.
    Raises `UserError` if there are no weights, or if they are of another network.
    """
    read = _read_weights(network.config, source)
    path, weights, source_classes = read.path, read.state, read.classes
    last, state = network.last_layer, network.state_dict()
    of_last = {name for name in state if name.startswith(f"{last}.")}
    if source_classes is None:  # unknown: assumed to be the same if their number is
        same = all(_shape_of(weights, name) == state[name].shape for name in of_last)
    else:
        same = source_classes == classes
    if same:
        of_last = set()  # every layer is kept
    kept = {name: value for name, value in weights.items() if name not in of_last}
    try:
        check_shapes(path, kept, {name: value for name, value in state.items() if name not in of_last})
    except UserError as error:
        keys = _other_keys(read.model, network.config)
        raise UserError(f"{error} To build its network: {keys}." if keys else str(error)) from error
    network.load_state_dict(kept, strict=False)
    return f"{path}, except {last}: its classes differ" if of_last else str(path)


def _other_keys(saved: Mapping[str, Any], config: ModelConfig) -> str:
    """Return what to type for the network that was saved, instead of that of `config`; "" if unknown."""
    if saved.get("name", config.name) != config.name:
        return f"model={saved['name']}"
    plain = {name: getattr(value, "name", value) for name, value in vars(config).items()}  # of enumerations
    others = {key: saved[key] for key in plain if key in saved and saved[key] != plain[key]}
    texts = {key: json.dumps(value, separators=(",", ":")).strip('"') for key, value in others.items()}
    return " ".join(f"model.{key}={text}" for key, text in texts.items() if key not in OF_TRAINING)


def load_published(config: ModelConfig, source: str, resize_size: int) -> TrainedModel:
    """Load the ImageNet weights that torchvision publishes for a network, from a file or by download.

    Its inputs are crops of images of `resize_size` pixels, minus ImageNet's mean colour. Raises `UserError`
    if the weights are not available, or if they are of another network.
    """
    names = class_names()
    classes = tuple(sorted(names))
    network = build_network(config, len(classes))
    path, weights, *_ = _read_weights(config, source)
    bias = weights.get(f"{network.last_layer}.bias")
    if bias is not None and len(bias) != len(classes):
        raise UserError(
            f"{path} has {len(bias):,} classes, not ImageNet's {len(classes):,}, and does not name them. To"
            f" fine-tune its weights: {command_for('train')} model.pretrained={path}."
        )
    check_shapes(path, weights, network.state_dict())
    network.load_state_dict(weights)
    mean = torch.tensor(IMAGENET_MEAN).reshape(3, 1, 1).expand(3, config.image_size, config.image_size)
    crops = Crops(mean.contiguous(), resize_size - config.image_size)
    in_words = tuple(names[name] for name in classes)
    return TrainedModel(path, network.eval(), crops, resize_size, classes, in_words, config={})


class _Weights(NamedTuple):
    """Weights with this program's parameter names.

    `classes` is None, and `model`, the configuration of their network, is empty if the file does not give
    them.
    """

    path: Path
    state: dict[str, Tensor]
    classes: tuple[str, ...] | None = None
    model: Mapping[str, Any] = MappingProxyType({})


def _read_weights(config: ModelConfig, source: str) -> _Weights:
    if source == PUBLISHED:
        return _Weights(Path(PUBLISHED), _convert_names(config, _download(config), Path(PUBLISHED)))
    path = absolute(source)
    if path.is_dir():
        path = checkpoint_of(path)
    content = read_plain(path)
    if "state_dict" in content and is_state(content["state_dict"]):
        try:
            classes = tuple(content["ImageDataModule"]["classes"])
        except (KeyError, TypeError) as error:
            raise UserError(f"{path} is not a checkpoint of this program: it lacks {error}.") from error
        model = content.get("config", {}).get("model", {})
        return _Weights(path, without_prefix(weights_to_use(content)), classes, model)
    if not content or not is_state(content):
        raise UserError(f"{path} contains no weights: neither a checkpoint of this program nor a state dict.")
    return _Weights(path, _convert_names(config, content, path))


def _shape_of(state: dict[str, Tensor], name: str) -> torch.Size | None:
    return state[name].shape if name in state else None


def _convert_names(config: ModelConfig, state: dict[str, Tensor], path: Path) -> dict[str, Tensor]:
    """Convert torchvision's state dict to the parameter names of this program."""
    if isinstance(config, TorchvisionConfig):
        return TorchvisionNetwork.convert_state_dict(state)
    try:
        return convert_state_dict(state, std=IMAGENET_STD)
    except KeyError as error:
        raise UserError(f"{path} is from another network: {config.name} has no {error.args[0]}.") from error


def _download(config: ModelConfig) -> dict[str, Tensor]:
    of_torchvision = isinstance(config, TorchvisionConfig)
    name = config.name if of_torchvision else "alexnet"
    if not of_torchvision and config.name != "alexnet_torchvision":
        raise UserError(
            f"torchvision publishes no weights for {config.name}. Choose model=alexnet_torchvision, or a"
            " network of torchvision."
        )
    from torchvision import models

    try:
        return models.get_model(name, weights="IMAGENET1K_V1").state_dict()
    except Exception as error:  # a failed connection, a full disk, an unknown name, ...
        raise UserError(
            f"Torchvision's weights for {name} could not be downloaded"
            f" ({type(error).__name__}: {error}). Download the file elsewhere, and give its path."
        ) from error
