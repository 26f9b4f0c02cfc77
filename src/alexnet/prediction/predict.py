"""Predictions from beginning to end: images, probabilities, what is shown of them."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from alexnet.config import PredictConfig
from alexnet.data.image import ImageError, decode_square
from alexnet.data.threads import map_ahead
from alexnet.errors import UserError
from alexnet.paths import absolute
from alexnet.prediction.images import find_images
from alexnet.prediction.prediction import Prediction
from alexnet.prediction.probabilities import probabilities
from alexnet.prediction.sheet import draw_sheet
from alexnet.prediction.show import print_predictions, write_predictions
from alexnet.progress import console, progress_bar
from alexnet.run.trained import load_trained
from alexnet.training.devices import resolve_device


def predict(config: PredictConfig) -> None:
    """Predict, print, and write what was asked for. Images that do not decode are named and left out.

    Raises `UserError` for a run or images that are not there, and where no image decodes.
    """
    paths = find_images(config.images)
    trained = load_trained(config.run, config.checkpoint)
    device = resolve_device(config.accelerator)
    unreadable: dict[Path, str] = {}
    found: list[Prediction] = []
    with progress_bar("Predicting", len(paths)) as advance:
        for files, squares, seen in _batches(paths, trained.stored_size, config.batch_size, unreadable):
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
    for path, square in zip(paths, map_ahead(read, paths, workers, 2 * batch_size), strict=True):
        seen += 1
        if isinstance(square, str):
            unreadable[path] = square
        else:
            files.append(path)
            squares.append(square)
        if seen == batch_size or path is paths[-1]:
            yield files, torch.from_numpy(np.stack(squares)) if files else torch.empty(0), seen
            files, squares, seen = [], [], 0
