"""Images with their most probable classes, as on the left of the paper's Figure 4."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from alexnet.data.image import decode_square
from alexnet.prediction.prediction import Prediction
from alexnet.run.figures import save
from alexnet.run.trained import Trained

ACROSS, MOST = 4, 12  # images in a row, and in all
RIGHT, OTHER, TEXT = "#d98a9c", "#a9c4de", "#1d2126"  # the paper's: red where the class is right
LONGEST = 26  # characters of a class's name


def draw_sheet(found: Sequence[Prediction], trained: Trained, path: Path) -> None:
    """A PNG at `path`, of some images from the first to the last.

    An image in a folder that is named like a class has that class above it, and red among its bars.
    """
    chosen = np.unique(np.linspace(0, len(found) - 1, MOST).round().astype(int))
    found = [found[place] for place in chosen]
    across = min(ACROSS, len(found))
    rows = -(-len(found) // across)
    figure = Figure(figsize=(2.5 * across, 4.1 * rows), layout="constrained")
    cells = figure.subplots(2 * rows, across, squeeze=False, height_ratios=[2.2, 1.3] * rows)
    for axes in cells.flat:
        axes.set_axis_off()
    for index, prediction in enumerate(found):
        image, bars = (cells[2 * (index // across) + part][index % across] for part in (0, 1))
        square = decode_square(prediction.path.read_bytes(), trained.stored_size)
        image.imshow(square.transpose(1, 2, 0), interpolation="antialiased")
        folder = prediction.path.parent.name
        right = trained.classes.index(folder) if folder in trained.classes else None
        title = prediction.path.name if right is None else trained.class_names[right]
        image.set_title(_short(title), fontsize=9, color=TEXT)
        for place, (number, probability) in enumerate(
            zip(prediction.classes, prediction.probabilities, strict=True)
        ):
            bars.barh(place, probability, color=RIGHT if number == right else OTHER, height=0.9)
            name = _short(trained.class_names[number])
            bars.text(0.02, place, name, va="center", fontsize=8, color=TEXT)
        bars.set(xlim=(0, 1), ylim=(len(prediction.classes) - 0.4, -0.6))
    save(figure, path)


def _short(name: str) -> str:
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"
