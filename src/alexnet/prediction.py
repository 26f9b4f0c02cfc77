"""Predictions of a trained network for image files."""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from glob import has_magic
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.bar import Bar
from rich.table import Table
from rich.text import Text
from torch import Tensor

from alexnet.config import PredictConfig
from alexnet.data.image import EXTENSIONS, ImageError, decode_image
from alexnet.data.prefetch import prefetch_map
from alexnet.data.walk import Walk, is_image
from alexnet.errors import UserError, lacks_memory
from alexnet.files import make_output_folder, shortest_decimal, write_json
from alexnet.hardware import resolve_device
from alexnet.paths import absolute
from alexnet.plotting import MOST_IMAGES, SheetImage, draw_image_sheet, shorten_file
from alexnet.runs.trained_model import TrainedModel, load_trained_model, probabilities
from alexnet.terminal import console, progress_bar

LIST_SUFFIX = ".txt"
BAR_WIDTH = 24  # characters


@dataclass(frozen=True)
class Prediction:
    """The most probable classes of the image at `path`, as indices in descending order of probability."""

    path: Path
    classes: list[int]
    probabilities: list[float]


def predict(config: PredictConfig) -> None:
    """Predict the classes of the configured images, print them, and write the requested files.

    Images that do not decode are named and skipped. Raises `UserError` if the run or an image does not exist,
    if no image decodes, or if a file cannot be written.
    """
    paths = find_images(config.images)
    trained = load_trained_model(config.run, config.checkpoint)
    predictions, unreadable = predict_images(trained, paths, config)
    for path, reason in unreadable.items():
        console.print(f"Left out  {path}: {reason}", style="yellow", markup=False)
    if not predictions:
        raise UserError(f"None of the {len(paths)} images can be read; {paths[0]}: {unreadable[paths[0]]}.")
    print_predictions(predictions, trained)
    if config.output is not None:
        write_predictions(predictions, unreadable, trained, absolute(config.output))
    if config.sheet is not None:
        draw_sheet(predictions, trained, absolute(config.sheet))


def find_images(images: Any) -> list[Path]:
    """Return the files that `images=` refers to, without duplicates, in the order given; a folder's by name.

    `images` is a file, a folder (with its subfolders, also those behind links), a pattern, a .txt file with
    one of these per line, or a list of these. Raises `UserError` for a path that does not exist, or if there
    are no images at all.
    """
    items = images if isinstance(images, list) else [images]
    paths = list(dict.fromkeys(path for item in items for path in _expand(str(item))))
    if not paths:
        raise UserError(
            f"images={images}: no images there. Their names end in {', '.join(sorted(EXTENSIONS))}."
        )
    return paths


def _expand(item: str, *, in_list: bool = False) -> Iterable[Path]:
    """Return the files of one item of `images=`; a .txt file named in a .txt file is taken for an image."""
    path = absolute(item)
    if path.is_dir():
        return sorted(path / entry.path for entry in Walk(path).files(path) if is_image(entry.path))
    if path.is_file():
        return _read_list(path) if path.suffix.lower() == LIST_SUFFIX and not in_list else [path]
    if has_magic(item):
        matching = Path(path.anchor).glob(str(path.relative_to(path.anchor)))
        return sorted(file for file in matching if file.is_file())
    raise UserError(f"images={item}: there is no such file or folder.")


def _read_list(path: Path) -> Iterable[Path]:
    """Return the files of the items in a .txt file, which are relative to its folder."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise UserError(f"images={path}: cannot be read as a list of files ({error}).") from error
    items = (str(path.parent / line.strip()) for line in lines if line.strip())
    return [file for item in items for file in _expand(item, in_list=True)]


def predict_images(
    trained: TrainedModel, paths: Sequence[Path], config: PredictConfig
) -> tuple[list[Prediction], dict[Path, str]]:
    """Return the predictions for the images that decode, and the reason for each that does not."""
    device = resolve_device(config.accelerator)
    top = min(config.top, len(trained.classes))
    predictions: list[Prediction] = []
    unreadable: dict[Path, str] = {}
    with progress_bar("Predicting", len(paths)) as advance:
        for decoded, images, errors in _read_batches(paths, trained.resize_size, config.batch_size):
            unreadable |= errors
            if decoded:
                try:
                    values, classes = probabilities(trained, images, config.crops, device).topk(top)
                except (RuntimeError, MemoryError) as error:
                    if not lacks_memory(error):
                        raise
                    raise UserError(
                        f"Out of memory with batch_size={config.batch_size}. Give a smaller one."
                    ) from error
                rows = zip(decoded, classes.tolist(), values.tolist(), strict=True)
                predictions += [Prediction(*row) for row in rows]
            advance(len(decoded) + len(errors))
    return predictions, unreadable


def _read_batches(
    paths: Sequence[Path], size: int, batch_size: int
) -> Iterator[tuple[list[Path], Tensor, dict[Path, str]]]:
    """Yield, for every `batch_size` paths, the readable ones, their images, and the reasons for the others.

    The images are (N, 3, size, size) uint8.
    """

    def read(path: Path) -> NDArray[np.uint8] | str:
        try:
            return decode_image(path.read_bytes(), size)
        except (ImageError, OSError) as error:
            return str(getattr(error, "strerror", None) or error)

    contents = prefetch_map(read, paths, os.cpu_count() or 1, 2 * batch_size)
    for start in range(0, len(paths), batch_size):
        images: dict[Path, NDArray[np.uint8]] = {}
        errors: dict[Path, str] = {}
        for path in paths[start : start + batch_size]:
            content = next(contents)
            if isinstance(content, str):
                errors[path] = content
            else:
                images[path] = content
        tensor = torch.from_numpy(np.stack(list(images.values()))) if images else torch.empty(0)
        yield list(images), tensor, errors


def print_predictions(predictions: Sequence[Prediction], trained: TrainedModel) -> None:
    """Print the classes of each image, with bars as long as their probabilities."""
    for prediction in predictions:
        console.print(f"\n{prediction.path}", style="bold", markup=False)
        table = Table.grid(padding=(0, 1))
        for label, probability in zip(prediction.classes, prediction.probabilities, strict=True):
            name = Text(trained.class_names[label])  # a plain string would be parsed as markup
            table.add_row(f"  {probability:6.1%}", Bar(1, 0, probability, width=BAR_WIDTH), name)
        console.print(table)


def write_predictions(
    predictions: Sequence[Prediction], unreadable: dict[Path, str], trained: TrainedModel, path: Path
) -> None:
    """Write the predictions as JSON to `path`. Raises `UserError` if that fails."""
    content = {
        "checkpoint": str(trained.checkpoint),
        "images": [
            {
                "file": str(prediction.path),
                "predictions": [
                    {
                        "class": trained.classes[label],
                        "name": trained.class_names[label],
                        "probability": shortest_decimal(probability),
                    }
                    for label, probability in zip(prediction.classes, prediction.probabilities, strict=True)
                ],
            }
            for prediction in predictions
        ],
        "unreadable": [{"file": str(file), "reason": reason} for file, reason in unreadable.items()],
    }
    try:
        write_json(path, content)
    except OSError as error:
        raise UserError(f"Cannot write {path}: {error.strerror or error}.") from error
    console.print(f"\nJSON      {path}", markup=False)


def draw_sheet(predictions: Sequence[Prediction], trained: TrainedModel, path: Path) -> None:
    """Draw some of the images with their predictions as a PNG at `path`. Raises `UserError` if that fails.

    An image in a folder that has the name of a class is titled with that class, whose bar is red.
    """
    make_output_folder(path.parent, setting="sheet")
    chosen = np.unique(np.linspace(0, len(predictions) - 1, MOST_IMAGES).round().astype(int))
    try:
        images = [_sheet_image(predictions[index], trained) for index in chosen]
        draw_image_sheet(images, trained.class_names, path)
    except OSError as error:
        raise UserError(f"Cannot write {path}: {error.strerror or error}.") from error
    console.print(f"Sheet     {path}", markup=False)


def _sheet_image(prediction: Prediction, trained: TrainedModel) -> SheetImage:
    folder = prediction.path.parent.name
    label = trained.classes.index(folder) if folder in trained.classes else None
    return SheetImage(
        decode_image(prediction.path.read_bytes(), trained.resize_size),
        shorten_file(prediction.path.name) if label is None else trained.class_names[label],
        prediction.classes,
        prediction.probabilities,
        label,
    )
