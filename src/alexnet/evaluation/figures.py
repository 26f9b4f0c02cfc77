"""Figures of an evaluation: confusion matrix, per-class errors, worst mistakes."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import PercentFormatter
from numpy.typing import NDArray
from scipy.stats import binomtest

from alexnet.evaluation.predictions import Predictions
from alexnet.evaluation.results import Evaluation, crops_in_words
from alexnet.plotting import (
    BLUE,
    CHART_WIDTH,
    LIGHT,
    MOST_IMAGES,
    PALE_BLUE,
    TEXT,
    SheetImage,
    draw_image_sheet,
    legend_above,
    save_figure,
    shorten,
    themed,
    tidy,
)

MAX_LABELLED = 24  # classes in a confusion matrix with names and numbers
CELL = 0.32  # inches, of a class in that matrix
PAIRS = 20  # of classes that are listed below a matrix without names
MAX_CELLS = 200  # a side of that matrix
BARS = 40  # one for each class; of more classes the best and the worst


@themed(LIGHT)
def draw_confusion(evaluation: Evaluation, path: Path) -> None:
    """Draw the confusion matrix, with rows normalised, as a PNG at `path`.

    Many classes have no room for names: the most confused pairs are listed below the matrix instead.
    """
    named = len(evaluation.short_names) <= MAX_LABELLED
    figure = _named_matrix(evaluation) if named else _large_matrix(evaluation)
    figure.axes[0].set(xlabel="predicted class", ylabel="true class")
    figure.suptitle(f"{_title(evaluation)}\npercent of each class")
    save_figure(figure, path)


def _named_matrix(evaluation: Evaluation) -> Figure:
    names = [shorten(name, 20) for name in evaluation.short_names]
    shares = _confusion_cells(evaluation.predictions, 1)
    side = max(CHART_WIDTH, 2.4 + CELL * len(names))  # inches
    figure = Figure(figsize=(side, side), layout="constrained")
    axes = figure.subplots()
    _matrix(axes, shares)
    axes.set_xticks(range(len(names)), names, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(names)), names)
    for row, col in np.argwhere(shares >= 0.005):
        shade, percent = "white" if shares[row, col] > 0.5 else TEXT, f"{100 * shares[row, col]:.0f}"
        axes.text(col, row, percent, ha="center", va="center", color=shade)
    return figure


def _large_matrix(evaluation: Evaluation) -> Figure:
    predictions, names = evaluation.predictions, evaluation.short_names
    block = -(-len(names) // MAX_CELLS)  # classes in a cell
    figure = Figure(figsize=(CHART_WIDTH, 9.6), layout="constrained")
    axes, pairs = figure.subplots(2, height_ratios=[1.35, 1])
    matrix = _matrix(axes, _confusion_cells(predictions, block), gamma=0.5)
    axes.set(xticks=[], yticks=[])
    bar = figure.colorbar(matrix, ax=axes, shrink=0.7, pad=0.01, format=PercentFormatter(1))
    bar.outline.set_visible(False)
    _list_pairs(pairs, predictions, names)
    cells = f"; a cell is the largest of {block} x {block} pairs" if block > 1 else ""
    axes.set_title(f"{len(names):,} classes in order{cells}", loc="left")
    return figure


@themed(LIGHT)
def draw_per_class(evaluation: Evaluation, path: Path) -> None:
    """Draw the error of each class with Wilson's 95% interval, the best first, as a PNG at `path`."""
    predictions, names = evaluation.predictions, evaluation.short_names
    images, wrong = predictions.class_images, predictions.class_wrong
    classes = np.flatnonzero(images)
    order = classes[np.argsort(wrong[classes] / images[classes], kind="stable")]
    cut = len(order) > BARS
    shown = np.concatenate([order[: BARS // 2], order[-BARS // 2 :]]) if cut else order
    heights = np.arange(len(shown))
    heights += (heights >= BARS // 2) * cut  # a gap where some are left out
    errors = 100 * wrong[shown] / images[shown]
    intervals = np.array([_interval(wrong[label], images[label]) for label in shown])
    figure = Figure(figsize=(CHART_WIDTH, 1.5 + 0.24 * (len(shown) + cut)), layout="constrained")
    axes = figure.subplots()
    reach = np.abs(intervals.T - errors)
    axes.barh(heights, errors, color=PALE_BLUE, height=0.8)
    axes.errorbar(errors, heights, xerr=reach, fmt="none", ecolor=BLUE, elinewidth=1, capsize=2)
    axes.set_yticks(heights, [shorten(names[label], 28) for label in shown])
    mean = predictions.metrics.top1_error
    line = axes.axvline(mean, color=TEXT, linewidth=0.8, linestyle="--", label="all classes")
    if cut:
        left_out = f"{len(order) - BARS:,} classes between"
        axes.text(1, BARS // 2, left_out, va="center", color=LIGHT.baseline)
    axes.set(xlabel="top-1 error (percent), 95% interval", xlim=(0, 100), ylim=(heights[-1] + 0.7, -0.7))
    tidy(axes)
    axes.grid(visible=False, axis="y")
    legend_above(figure, [line], _title(evaluation))
    save_figure(figure, path)


def draw_worst(evaluation: Evaluation, path: Path) -> None:
    """Draw the images misclassified with the highest confidence, titled by class, as a PNG at `path`.

    Where no image is misclassified, nothing is written.
    """
    predictions, names = evaluation.predictions, evaluation.class_names
    size = evaluation.members[0].trained.resize_size
    sheet = []
    for row in predictions.worst(MOST_IMAGES):
        image = np.empty((3, size, size), np.uint8)
        evaluation.data.images.read(int(evaluation.indices[row]), image)
        label = int(predictions.labels[row])
        top, probabilities = predictions.top[row].tolist(), predictions.top_probabilities[row].tolist()
        sheet.append(SheetImage(image, names[label], top, probabilities, label))
    if sheet:
        draw_image_sheet(sheet, names, path, f"Worst mistakes of {_title(evaluation)}")


def _title(evaluation: Evaluation) -> str:
    return f"{evaluation.name} on {evaluation.data_name}, {crops_in_words(evaluation.main_crops)}"


def _matrix(axes: Axes, shares: NDArray[np.float64], gamma: float = 1) -> AxesImage:
    axes.tick_params(length=0)
    return axes.imshow(shares, cmap="Blues", norm=PowerNorm(gamma, 0, 1), interpolation="nearest")


def _confusion_cells(predictions: Predictions, block: int) -> NDArray[np.float64]:
    """Return the confusion matrix in shares of each class, in cells of `block` x `block` pairs of classes.

    A cell is the largest of its pairs: a mean would hide a single confused one.
    """
    labels, predicted, images = predictions.confusion
    cells = np.zeros((-(-predictions.classes // block),) * 2)
    np.maximum.at(cells, (labels // block, predicted // block), images / predictions.class_images[labels])
    return cells


def _list_pairs(axes: Axes, predictions: Predictions, names: tuple[str, ...]) -> None:
    axes.set_axis_off()
    axes.set_title("most confused", loc="left")
    for rank, pair in enumerate(predictions.most_confused(PAIRS)):
        text = f"{shorten(names[pair.label], 30)} → {shorten(names[pair.predicted], 30)}"
        height = 1 - (rank + 0.5) / PAIRS
        axes.text(0, height, f"{pair.confused}/{pair.images}", va="center")
        axes.text(0.12, height, text, va="center")


def _interval(wrong: int, images: int) -> tuple[float, float]:
    interval = binomtest(int(wrong), int(images)).proportion_ci(method="wilson")
    return 100 * interval.low, 100 * interval.high
