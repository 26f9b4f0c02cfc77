"""A trained network whose outputs another one learns from."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from alexnet.data.augmentation import Crops
from alexnet.errors import UserError
from alexnet.models.families.torchvision import TorchvisionConfig
from alexnet.models.torchvision import IMAGENET_STD
from alexnet.paths import absolute
from alexnet.runs.trained_model import PUBLISHED, TrainedModel, load_published, load_trained_model

IMAGE_SIZE, RESIZE_SIZE = 224, 256  # pixels, of the networks that torchvision publishes


class Teacher:
    """Computes a trained network's logits of another network's inputs.

    It is no module: its weights are neither trained nor saved with the other's. `classes` are those of the
    other network, in the order of its logits; `crops` makes its inputs. Raises `UserError` for classes that
    the trained network does not know.
    """

    def __init__(self, trained: TrainedModel, source: str, classes: Sequence[str], crops: Crops) -> None:
        unknown = [name for name in classes if name not in trained.classes]
        if unknown:
            raise UserError(
                f"loss.teacher={source}: this network has {len(trained.classes)} classes, but lacks"
                f" {unknown[0]}, one of the data's {len(classes)}. Choose one trained on all of them."
            )
        columns = [trained.classes.index(name) for name in classes]
        self.columns = None if tuple(classes) == trained.classes else torch.tensor(columns)
        self.network = trained.network.requires_grad_(False)
        self.mean, self.own_mean = trained.crops.mean, crops.mean

    def to(self, device: torch.device, dtype: torch.dtype) -> None:
        """Move it to a device, with weights of this dtype."""
        self.network.to(device, dtype)
        self.mean, self.own_mean = self.mean.to(device, dtype), self.own_mean.to(device, dtype)
        self.columns = None if self.columns is None else self.columns.to(device)

    @torch.no_grad()
    def logits(self, inputs: Tensor) -> Tensor:
        """Return the logits (N, classes) of inputs (N, 3, size, size) of the other network.

        Their mean is exchanged for that of this one, and they are resized if its inputs have another size.
        """
        images = inputs.to(self.mean.dtype)
        if self.mean.shape != self.own_mean.shape:
            size = list(self.mean.shape[1:])
            images = interpolate(images + self.own_mean, size, mode="bilinear", antialias=True) - self.mean
        elif not torch.equal(self.mean, self.own_mean):
            images = images + (self.own_mean - self.mean)
        logits: Tensor = self.network(images)
        return logits if self.columns is None else logits[:, self.columns]


def is_published(source: str) -> bool:
    """Return whether a teacher's weights are those that torchvision publishes, and downloads."""
    return source.startswith(f"{PUBLISHED}:")


def load_teacher(source: str, classes: Sequence[str], crops: Crops) -> Teacher:
    """Load the teacher of a network with these classes and crops.

    `source` is a run's folder, a checkpoint, or "torchvision:<name>", which is downloaded. Raises `UserError`
    for one that is not there, or does not know the classes. Draws nothing from torch's generator.
    """
    with torch.random.fork_rng(devices=[]):
        if is_published(source):
            trained = _published(source.removeprefix(f"{PUBLISHED}:"))
        elif (path := absolute(source)).is_dir():
            trained = load_trained_model(str(path), None)
        else:
            trained = load_trained_model(None, str(path))
    return Teacher(trained, source, classes, crops)


def _published(name: str) -> TrainedModel:
    config = TorchvisionConfig(
        family="torchvision", name=name, image_size=IMAGE_SIZE, input_std=list(IMAGENET_STD)
    )
    try:
        return load_published(config, PUBLISHED, RESIZE_SIZE)
    except UserError as error:
        raise UserError(str(error).replace("model.name=", f"loss.teacher={PUBLISHED}:")) from error
