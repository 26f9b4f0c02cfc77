"""A network with the weights of a run, to be used."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from alexnet import cli
from alexnet.config import DataConfig, ModelConfig
from alexnet.data.augmentation import Crops
from alexnet.errors import UserError
from alexnet.model.build import build_network
from alexnet.model.classifier import Classifier
from alexnet.paths import absolute
from alexnet.run.checkpoint_file import check_shapes, read_checkpoint
from alexnet.run.resume import read_config

PREFIX = "network."  # of its weights in a checkpoint


@dataclass(frozen=True)
class Trained:
    """`network` is in evaluation mode, on the CPU; `crops` makes what it sees of uint8 squares of
    `stored_size` pixels; `classes` and `class_names` are in the order of its logits. `config` is the
    resolved configuration of the run, and empty where there was none.
    """

    checkpoint: Path
    network: Classifier
    crops: Crops
    stored_size: int
    classes: tuple[str, ...]
    class_names: tuple[str, ...]
    config: dict[str, Any] = field(default_factory=dict)


def load_trained(run: str | None, checkpoint: str | None) -> Trained:
    """The network of a run's folder, with its best weights or else its last; or of a checkpoint by itself.

    Raises `UserError` where there is none, or where it is not of this program.
    """
    path = checkpoint_of(absolute(run)) if run is not None else absolute(str(checkpoint))
    content = read_checkpoint(path)
    try:
        config, data = content["config"], content["ImageDataModule"]
        model = cli.read_saved(config["model"], ModelConfig, path)
        stored_size = int(config["data"]["stored_size"])
        classes, names, mean = tuple(data["classes"]), tuple(data["class_names"]), data["mean"]
        slack = stored_size - mean.shape[-1]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{path} is no checkpoint of this program: it lacks {error}.") from error
    network = build_network(model, len(classes))
    weights = without_prefix(content["state_dict"])
    check_shapes(path, weights, network.state_dict())
    network.load_state_dict(weights)
    return Trained(path, network.eval().float(), Crops(mean, slack), stored_size, classes, names, config)


def own_data(saved: dict[str, Any], file: Path, root: str | None) -> DataConfig:
    """The images that a network was trained on, by the configuration that was saved in `file`; where they lie
    now, if `root` is given. Raises `UserError` where it does not say.
    """
    try:
        own = cli.read_saved(saved["data"], DataConfig, file)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{file} does not say on what data it was trained.") from error
    if root is None:
        return own
    return replace(own, root=str(absolute(root)), pack=None)  # a pack is of the images where they were


def checkpoint_of(folder: Path) -> Path:
    """A run's best weights, or else its last. Raises `UserError` where the folder holds none."""
    read_config(folder)  # or it is no run's
    for name in ("best.ckpt", "last.ckpt"):
        if (path := folder / "checkpoints" / name).is_file():
            return path
    raise UserError(f"{folder}: this run has kept no checkpoint. Train one that does.")


def without_prefix(state: dict[str, Any]) -> dict[str, Tensor]:
    """The network's part of a checkpoint's state_dict, under the network's own names."""
    return {name.removeprefix(PREFIX): value for name, value in state.items() if name.startswith(PREFIX)}
