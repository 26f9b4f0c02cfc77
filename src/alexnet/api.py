"""The functions that `import alexnet` offers: networks from presets, and finished runs."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from io import BytesIO
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import ExifTags, Image
from torch import Tensor

from alexnet.config import ValCrops
from alexnet.config.composition import compose_model, list_presets
from alexnet.data.image import ImageError, decode_image
from alexnet.data.orientation import read_orientation
from alexnet.errors import UserError
from alexnet.models.base import ImageClassifier
from alexnet.models.build import build_network
from alexnet.paths import absolute
from alexnet.runs.trained_model import TrainedModel, load_pretrained, load_trained_model, probabilities

if TYPE_CHECKING:
    from pandas import DataFrame

ImageLike = str | PathLike[str] | Image.Image | NDArray[np.uint8]


def list_models(pattern: str = "*") -> list[str]:
    """Return the presets of `create_model` that match a pattern such as `alexnet*`, sorted."""
    return [name for name in list_presets() if fnmatch(name, pattern)]


def create_model(preset: str = "alexnet", /, classes: int = 1000, **changes: Any) -> ImageClassifier:
    """Build a network from a preset of conf/model.

    `changes` override the preset's keys, those of `model.<key>` on the command line of train.py: `lrn=False`,
    `activation="tanh"`, `columns=2`, `width=0.25`. The network takes float images (N, 3, S, S), RGB 0-255
    minus the mean, S = `network.config.image_size`, and returns logits (N, classes). Initial weights are
    drawn from torch's default generator; `pretrained=` loads weights from a run's folder, a file or
    "torchvision", except those of the last layer if the file defines its classes.

    Raises `UserError`, in one line with the nearest choice, for an unknown preset, key or value.
    """
    if classes < 1:
        raise UserError(f"classes={classes}: expected 1 or more.")
    config = compose_model(preset, changes)
    network = build_network(config, classes)
    if config.pretrained is not None:
        load_pretrained(network, config.pretrained, ())
    return network


@dataclass(frozen=True)
class TrainedRun:
    """A run with its trained network, in evaluation mode on the CPU.

    `classes` (the folder names of the data set) and `class_names` are in the order of the logits. `config` is
    the resolved configuration, `result` the content of result.json.
    """

    folder: Path
    network: ImageClassifier
    classes: tuple[str, ...]
    class_names: tuple[str, ...]
    config: dict[str, Any]
    result: dict[str, Any]
    _trained: TrainedModel = field(repr=False)

    @property
    def metrics(self) -> "DataFrame":
        """The content of metrics.csv: one row per epoch, indexed by epoch."""
        from pandas import read_csv  # takes half a second

        return read_csv(self.folder / "metrics.csv", index_col="epoch")

    def preprocess(self, images: ImageLike | Sequence[ImageLike]) -> Tensor:
        """Return the network's input (N, 3, S, S) from image files, PIL images or uint8 arrays (H, W, 3).

        Preprocessing is that of validation: centre square, resized, minus the mean, centre crop. Raises
        `UserError` for an image that does not decode.
        """
        return self._trained.crops.center(self._squares(images))

    def predict(self, images: ImageLike | Sequence[ImageLike], top: int = 5) -> list[list[tuple[str, float]]]:
        """Return names and probabilities of the `top` most probable classes of each image.

        Only the centre crop is classified. The result is a list of pairs, because two classes may have the
        same name (ImageNet's cranes). Raises `UserError` for an image that does not decode.
        """
        squares = self._squares(images)
        if not len(squares):
            return []
        values = probabilities(self._trained, squares, ValCrops.center, torch.device("cpu"))
        best, labels = values.topk(min(top, len(self.classes)))
        return [
            [(self.class_names[label], value) for label, value in zip(row, of_row, strict=True)]
            for row, of_row in zip(labels.tolist(), best.tolist(), strict=True)
        ]

    def _squares(self, images: ImageLike | Sequence[ImageLike]) -> Tensor:
        several = images if isinstance(images, Sequence) and not isinstance(images, str) else [images]
        squares = []
        for image in several:
            try:
                squares.append(decode_image(_encoded(image), self._trained.resize_size))
            except (ImageError, OSError, ValueError) as error:
                name = image if isinstance(image, str | PathLike) else type(image).__name__
                raise UserError(f"{name}: {getattr(error, 'strerror', None) or error}.") from None
        size = self._trained.resize_size
        return torch.from_numpy(np.stack(squares) if squares else np.empty((0, 3, size, size), np.uint8))


def load_run(path: str | PathLike[str]) -> TrainedRun:
    """Load a run from its folder, with the weights of its best epoch, or else of its last.

    Raises `UserError` if the folder does not contain a run with a checkpoint.
    """
    folder = absolute(Path(path))
    trained = load_trained_model(str(folder), None)
    try:
        result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        result = {}  # the run has not ended
    return TrainedRun(
        folder, trained.network, trained.classes, trained.class_names, trained.config, result, trained
    )


PNG_MODES = ("1", "L", "LA", "I", "I;16", "P", "RGB", "RGBA")  # of Pillow's images, those that a PNG can have


WITH_ALPHA = {"PA": "RGBA", "La": "LA", "RGBa": "RGBA"}  # of the others, those with transparency


def _encoded(image: ImageLike) -> bytes:
    """Return an image as a file, for all images to be decoded in the same way."""
    if isinstance(image, str | PathLike):
        return Path(image).read_bytes()
    file = BytesIO()
    picture = image if isinstance(image, Image.Image) else Image.fromarray(image)
    picture.load()  # of a TIFF file this applies the orientation
    if picture.mode not in (*PNG_MODES, "F"):  # F's range is unknown: an error, as from a file
        picture = picture.convert(WITH_ALPHA.get(picture.mode, "RGB"))
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = read_orientation(picture)
    picture.save(file, "PNG", exif=exif)
    return file.getvalue()
