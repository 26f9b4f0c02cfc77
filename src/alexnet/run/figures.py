"""Pictures of a run."""

import csv
import math
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from alexnet.run.whole_file import written_whole

TRAIN, VAL, VAL5, GUESS = "#8a8d91", "#0b62a4", "#e07b00", "#b3b3b3"


def read_metrics(path: Path) -> dict[str, list[float]]:
    """The columns of a metrics.csv; an empty cell is not a number."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return {key: [float(row[key] or "nan") for row in rows] for key in rows[0]} if rows else {}


def draw_curves(metrics: dict[str, list[float]], classes: int, title: str, path: Path) -> None:
    """Loss and error over the epochs, with what guessing would give, as a PNG at `path`."""
    figure = Figure(figsize=(9, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    epochs = metrics["epoch"]
    _line(left, epochs, metrics, "train/loss", "training", TRAIN)
    _line(left, epochs, metrics, "val/loss", "validation", VAL)
    _guessing(left, math.log(classes))
    left.set(xlabel="epoch", ylabel="loss (cross-entropy)")
    left.set_ylim(bottom=0)

    _line(right, epochs, metrics, "train/top1_error", "training, top-1", TRAIN)
    _line(right, epochs, metrics, "val/top1_error", "validation, top-1", VAL)
    _line(right, epochs, metrics, "val/top5_error", "validation, top-5", VAL5)
    _guessing(right, 100 * (1 - 1 / classes))
    right.set(xlabel="epoch", ylabel="error (percent)", ylim=(0, 100))
    for axes in (left, right):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25)
        axes.legend(frameon=True, framealpha=1, edgecolor="none", fontsize=8)
    figure.suptitle(title, fontsize=10)
    save(figure, path)


def draw_filters(weights: NDArray[np.float32], columns: int, path: Path) -> None:
    """The first layer's filters, (filters, 3, height, width), as in the paper's figure 3; a PNG at `path`.

    Grey is zero, and each filter's largest weight reaches black or white. With two columns the
    upper half are the first column's.
    """
    across = 16
    gap = 1  # pixels between filters
    height, width = (side + gap for side in weights.shape[2:])
    scaled = 0.5 + 0.5 * weights / np.maximum(np.abs(weights).max((1, 2, 3), keepdims=True), 1e-12)
    figure = Figure(layout="constrained")
    panels = figure.subplots(columns, squeeze=False).flat
    rows = 0
    for number, (axes, part) in enumerate(zip(panels, np.split(scaled, columns), strict=True), start=1):
        rows = -(-len(part) // across)
        sheet = np.ones((rows * height - gap, min(across, len(part)) * width - gap, 3))
        for index, kernel in enumerate(part):
            top, left = index // across * height, index % across * width
            sheet[top : top + height - gap, left : left + width - gap] = kernel.transpose(1, 2, 0)
        axes.imshow(sheet, interpolation="nearest")
        axes.set_axis_off()
        if columns > 1:
            axes.set_title(f"column {number}", fontsize=9, loc="left")
    figure.set_size_inches(8, 0.6 + columns * (0.3 * (columns > 1) + rows * 0.49))
    figure.suptitle(
        f"First layer: {len(weights)} filters of {weights.shape[3]}x{weights.shape[2]}x3", fontsize=10
    )
    save(figure, path)


def save(figure: Figure, path: Path) -> None:
    """Write a PNG, whole or not at all, into a folder that is there."""
    with written_whole(path) as file:
        figure.savefig(file, format="png", dpi=110)


def _line(
    axes: Axes, epochs: list[float], metrics: dict[str, list[float]], key: str, label: str, color: str
) -> None:
    points = [(e, v) for e, v in zip(epochs, metrics.get(key, []), strict=False) if v == v]
    if points:
        axes.plot(*zip(*points, strict=True), label=label, color=color, marker="o", markersize=3)


def _guessing(axes: Axes, value: float) -> None:
    axes.axhline(value, color=GUESS, linestyle="--", linewidth=1, label="guessing")
