"""Predictions of a trained network for image files."""

import json
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
from torch import Tensor

from alexnet.config import PredictConfig
from alexnet.data.image import EXTENSIONS, ImageError, decode_square
from alexnet.data.loader import prefetch_map
from alexnet.errors import UserError
from alexnet.files import atomic_write
from alexnet.hardware import resolve_device
from alexnet.paths import absolute
from alexnet.plotting import MOST_IMAGES, SheetImage, draw_image_sheet
from alexnet.runs.trained_model import TrainedModel, load_trained_model, probabilities
from alexnet.terminal import console, progress_bar


@dataclass(frozen=True)
class Prediction:
    """The most probable classes of the image at `path`, the first the most, by their numbers."""

    path: Path
    classes: list[int]
    probabilities: list[float]


def predict(config: PredictConfig) -> None:
    """Predict, print, and write what was asked for. Images that do not decode are named and left out.

    Raises `UserError` for a run or images that are not there, and where no image decodes.
    """
    paths = find_images(config.images)
    trained = load_trained_model(config.run, config.checkpoint)
    device = resolve_device(config.accelerator)
    unreadable: dict[Path, str] = {}
    found: list[Prediction] = []
    with progress_bar("Predicting", len(paths)) as advance:
        for files, squares, seen in _batches(paths, trained.resize_size, config.batch_size, unreadable):
            if files:
                values, classes = probabilities(trained, squares, config.crops, device).topk(
                    min(config.top, len(trained.classes))
                )
                for row, file in enumerate(files):
                    found.append(Prediction(file, classes[row].tolist(), values[row].tolist()))
            advance(seen)
    for path, reason in unreadable.items():
        console.print(f"Left out  {path}: {reason}", style="yellow", markup=False)
    if not found:
        raise UserError(f"None of the {len(paths)} images can be read; {paths[0]}: {unreadable[paths[0]]}.")
    print_predictions(found, trained)
    if config.output is not None:
        write_predictions(found, unreadable, trained, absolute(config.output))
    if config.sheet is not None:
        sheet = absolute(config.sheet)
        try:
            draw_sheet(found, trained, sheet)
        except OSError as error:
            raise UserError(f"Cannot write {sheet}: {error.strerror or error}.") from error
        console.print(f"Sheet     {sheet}", markup=False)


def _batches(
    paths: Sequence[Path], size: int, batch_size: int, unreadable: dict[Path, str]
) -> Iterator[tuple[list[Path], Tensor, int]]:
    """Files that decode, their squares, and how many files were seen for them."""

    def read(path: Path) -> NDArray[np.uint8] | str:
        try:
            return decode_square(path.read_bytes(), size)
        except (ImageError, OSError) as error:
            return str(getattr(error, "strerror", None) or error)

    workers = os.cpu_count() or 1
    squares: list[NDArray[np.uint8]] = []
    files: list[Path] = []
    seen = 0
    for path, square in zip(paths, prefetch_map(read, paths, workers, 2 * batch_size), strict=True):
        seen += 1
        if isinstance(square, str):
            unreadable[path] = square
        else:
            files.append(path)
            squares.append(square)
        if seen == batch_size or path is paths[-1]:
            yield files, torch.from_numpy(np.stack(squares)) if files else torch.empty(0), seen
            files, squares, seen = [], [], 0


LIST = ".txt"


def find_images(asked: Any) -> list[Path]:
    """The files that `images=` means, each once, in the order asked for; those of a folder by name.

    A file, a folder (with those below it), a pattern, a .txt file with one of these a line, or several.
    Raises `UserError` for what is not there, and where there is no image at all.
    """
    each = asked if isinstance(asked, list) else [asked]
    found = list(dict.fromkeys(path for one in each for path in _of(str(one))))
    if not found:
        raise UserError(
            f"images={asked}: no images there. Their names end in {', '.join(sorted(EXTENSIONS))}."
        )
    return found


def _of(asked: str, *, listed: bool = False) -> Iterable[Path]:
    path = absolute(asked)
    if path.is_dir():
        return (file for file in sorted(path.rglob("*")) if file.suffix.lower() in EXTENSIONS)
    if path.is_file():
        return _listed(path) if path.suffix.lower() == LIST and not listed else [path]
    if has_magic(asked):
        matching = Path(path.anchor).glob(str(path.relative_to(path.anchor)))
        return sorted(file for file in matching if file.is_file())
    raise UserError(f"images={asked}: there is no such file or folder.")


def _listed(path: Path) -> Iterable[Path]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise UserError(f"images={path}: cannot be read as a list of files ({error}).") from error
    base = path.parent  # of what is not given from the root on
    return [file for line in lines if line.strip() for file in _of(str(base / line.strip()), listed=True)]


BAR = 24  # characters


def print_predictions(found: Sequence[Prediction], trained: TrainedModel) -> None:
    """For each image its classes, with a bar as long as each is probable."""
    for prediction in found:
        console.print(f"\n{prediction.path}", style="bold", markup=False)
        table = Table.grid(padding=(0, 1))
        for number, probability in zip(prediction.classes, prediction.probabilities, strict=True):
            name = trained.class_names[number]
            table.add_row(f"  {probability:6.1%}", Bar(1, 0, probability, width=BAR), name)
        console.print(table)


def write_predictions(
    found: Sequence[Prediction], unreadable: dict[Path, str], trained: TrainedModel, path: Path
) -> None:
    """Everything as JSON at `path`. Raises `UserError` where it cannot be written."""
    content = {
        "checkpoint": str(trained.checkpoint),
        "images": [
            {
                "file": str(prediction.path),
                "predictions": [
                    {
                        "class": trained.classes[number],
                        "name": trained.class_names[number],
                        "probability": probability,
                    }
                    for number, probability in zip(prediction.classes, prediction.probabilities, strict=True)
                ],
            }
            for prediction in found
        ],
        "unreadable": [{"file": str(file), "reason": reason} for file, reason in unreadable.items()],
    }
    try:
        with atomic_write(path) as file:
            file.write((json.dumps(content, indent=2) + "\n").encode(errors="surrogateescape"))
    except OSError as error:
        raise UserError(f"Cannot write {path}: {error.strerror or error}.") from error
    console.print(f"\nJSON      {path}", markup=False)


def draw_sheet(found: Sequence[Prediction], trained: TrainedModel, path: Path) -> None:
    """A PNG at `path`, of some images from the first to the last.

    An image in a folder that is named like a class has that class above it, and red among its bars.
    """
    chosen = np.unique(np.linspace(0, len(found) - 1, MOST_IMAGES).round().astype(int))
    draw_image_sheet([_sheet_image(found[place], trained) for place in chosen], trained.class_names, path)


def _sheet_image(prediction: Prediction, trained: TrainedModel) -> SheetImage:
    folder = prediction.path.parent.name
    right = trained.classes.index(folder) if folder in trained.classes else None
    return SheetImage(
        decode_square(prediction.path.read_bytes(), trained.resize_size),
        prediction.path.name if right is None else trained.class_names[right],
        prediction.classes,
        prediction.probabilities,
        right,
    )
