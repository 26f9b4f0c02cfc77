"""Images with their most probable classes, as on the left of the paper's Figure 4."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from alexnet.data.image import decode_square
from alexnet.prediction.prediction import Prediction
from alexnet.run.figures import save
from alexnet.run.trained import Trained

ACROSS, MOST = 4, 12  # images in a row, and in all
RIGHT, OTHER, TEXT = "#d98a9c", "#a9c4de", "#1d2126"  # the paper's: red where the class is right
LONGEST = 26  # characters of a class's name


@dataclass(frozen=True)
class Shown:
    """An image (3, S, S) with what stands above it, its most probable `classes` by their numbers with
    `probabilities`, and the number of its own class, where that is known.
    """

    square: NDArray[np.uint8]
    title: str
    classes: Sequence[int]
    probabilities: Sequence[float]
    right: int | None


def draw_sheet(found: Sequence[Prediction], trained: Trained, path: Path) -> None:
    """A PNG at `path`, of some images from the first to the last.

    An image in a folder that is named like a class has that class above it, and red among its bars.
    """
    chosen = np.unique(np.linspace(0, len(found) - 1, MOST).round().astype(int))
    draw_images([_shown(found[place], trained) for place in chosen], trained.class_names, path)


def draw_images(images: Sequence[Shown], names: Sequence[str], path: Path, heading: str = "") -> None:
    """A PNG at `path`: each image, above it its title, below it a bar for each of its classes, which have
    `names`; red is its own.
    """
    across = min(ACROSS, len(images))
    rows = -(-len(images) // across)
    figure = Figure(figsize=(2.5 * across, 4.1 * rows), layout="constrained")
    cells = figure.subplots(2 * rows, across, squeeze=False, height_ratios=[2.2, 1.3] * rows)
    for axes in cells.flat:
        axes.set_axis_off()
    for index, shown in enumerate(images):
        image, bars = (cells[2 * (index // across) + part][index % across] for part in (0, 1))
        image.imshow(shown.square.transpose(1, 2, 0), interpolation="antialiased")
        image.set_title(short(shown.title), fontsize=9, color=TEXT)
        for place, (number, probability) in enumerate(zip(shown.classes, shown.probabilities, strict=True)):
            bars.barh(place, probability, color=RIGHT if number == shown.right else OTHER, height=0.9)
            bars.text(0.02, place, short(names[number]), va="center", fontsize=8, color=TEXT)
        bars.set(xlim=(0, 1), ylim=(len(shown.classes) - 0.4, -0.6))
    if heading:
        figure.suptitle(heading, fontsize=10, color=TEXT)
    save(figure, path)


def short(name: str, longest: int = LONGEST) -> str:
    """A name in at most so many characters."""
    return name if len(name) <= longest else f"{name[: longest - 1]}…"


def _shown(prediction: Prediction, trained: Trained) -> Shown:
    folder = prediction.path.parent.name
    right = trained.classes.index(folder) if folder in trained.classes else None
    return Shown(
        decode_square(prediction.path.read_bytes(), trained.stored_size),
        prediction.path.name if right is None else trained.class_names[right],
        prediction.classes,
        prediction.probabilities,
        right,
    )
