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

from alexnet.config import ValCrops
from alexnet.evaluation.predictions import Predictions
from alexnet.evaluation.results import Evaluation
from alexnet.plotting import (
    LIGHT,
    MOST_IMAGES,
    PALE_BLUE,
    TEXT,
    SheetImage,
    draw_image_sheet,
    save_figure,
    shorten,
)
from alexnet.runs.figures import VAL

LABELLED = 24  # so many classes have their names at a confusion matrix, and numbers in it
PAIRS = 20  # of classes that are listed beside a matrix without names
CELLS = 200  # a side of that matrix, at most
BARS = 40  # of classes have a bar each; of more the best and the worst
CROPS = {ValCrops.center: "centre crop", ValCrops.ten: "ten crops"}


def draw_confusion(found: Evaluation, path: Path) -> None:
    """Of each class (row) which share is taken for which (column), as a PNG at `path`.

    Many classes have no room for names: the pairs that are confused most are listed beside them.
    """
    verdict, names = found.verdict, found.short_names
    count = len(names)
    shares = verdict.confusion / np.maximum(verdict.class_images, 1)[:, None]
    if count <= LABELLED:
        side = 2.8 + 0.42 * count
        figure = Figure(figsize=(side + 0.6, side), layout="constrained")
        axes = figure.subplots()
        _matrix(axes, shares)
        labels = [shorten(name, 20) for name in names]
        axes.set_xticks(range(count), labels, rotation=45, ha="right", rotation_mode="anchor", fontsize=8)
        axes.set_yticks(range(count), labels, fontsize=8)
        for row, col in np.argwhere(shares >= 0.005):
            shade, percent = "white" if shares[row, col] > 0.5 else TEXT, f"{100 * shares[row, col]:.0f}"
            axes.text(col, row, percent, ha="center", va="center", fontsize=7.5, color=shade)
    else:
        figure = Figure(figsize=(11.5, 6.4), layout="constrained")
        axes, listed = figure.subplots(1, 2, width_ratios=[1.5, 1])
        together = -(-count // CELLS)
        matrix = _matrix(axes, _largest_of_blocks(shares, together), gamma=0.5)
        axes.set(xticks=[], yticks=[])
        bar = figure.colorbar(matrix, ax=axes, shrink=0.7, pad=0.01, format=PercentFormatter(1))
        bar.outline.set_visible(False)
        _list_pairs(listed, verdict, names)
        what = f"; a cell is the most of {together} x {together} pairs" if together > 1 else ""
        axes.set_title(f"{count:,} classes in their order{what}", fontsize=9, loc="left", color=TEXT)
    axes.set_xlabel("taken for")
    axes.set_ylabel("class")
    figure.suptitle(f"{_title(found)}: percent of each class", fontsize=10, color=TEXT)
    save_figure(figure, path)


def draw_per_class(found: Evaluation, path: Path) -> None:
    """The error of each class with its 95% interval (Wilson's), the best first, as a PNG at `path`."""
    verdict, names = found.verdict, found.short_names
    images, wrong = verdict.class_images, verdict.class_wrong
    seen = np.flatnonzero(images)
    order = seen[np.argsort(wrong[seen] / images[seen], kind="stable")]
    cut = len(order) > BARS
    shown = np.concatenate([order[: BARS // 2], order[-BARS // 2 :]]) if cut else order
    places = np.arange(len(shown))
    places += (places >= BARS // 2) * cut  # a gap where some are left out
    errors = 100 * wrong[shown] / images[shown]
    intervals = np.array([_interval(wrong[number], images[number]) for number in shown])
    figure = Figure(figsize=(8, 1.5 + 0.24 * (len(shown) + cut)), layout="constrained")
    axes = figure.subplots()
    reach = np.abs(intervals.T - errors)
    axes.barh(places, errors, color=PALE_BLUE, height=0.8)
    axes.errorbar(errors, places, xerr=reach, fmt="none", ecolor=VAL, elinewidth=1, capsize=2)
    axes.set_yticks(places, [shorten(names[number], 34) for number in shown], fontsize=8)
    axes.axvline(verdict.figures.top1_error, color=TEXT, linewidth=0.8, linestyle="--", label="all classes")
    if cut:
        left = f"{len(order) - BARS:,} classes between"
        axes.text(1, BARS // 2, left, va="center", fontsize=8, color=LIGHT.baseline)
    axes.set(xlabel="top-1 error (percent), 95% interval", xlim=(0, 100), ylim=(places[-1] + 0.7, -0.7))
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="x", alpha=0.25)
    axes.set_axisbelow(True)
    axes.legend(fontsize=8, loc="upper right", framealpha=1, edgecolor="none")
    figure.suptitle(_title(found), fontsize=10, color=TEXT)
    save_figure(figure, path)


def draw_worst(found: Evaluation, path: Path) -> None:
    """The images that are wrong with the highest confidence, each under its own class, as a PNG at `path`.

    None is written where nothing is wrong.
    """
    verdict, images = found.verdict, found.data.images
    size = found.members[0].trained.resize_size
    shown = []
    for place in verdict.worst(MOST_IMAGES):
        square = np.empty((3, size, size), np.uint8)
        images.read(int(found.rows[place]), square)
        right = int(verdict.labels[place])
        top, top_probabilities = verdict.top[place].tolist(), verdict.top_probabilities[place].tolist()
        shown.append(SheetImage(square, found.class_names[right], top, top_probabilities, right))
    if shown:
        draw_image_sheet(shown, found.class_names, path, f"Worst mistakes of {_title(found)}")


def _title(found: Evaluation) -> str:
    return f"{found.name} on {found.images_of}, {CROPS[found.main_crops]}"


def _matrix(axes: Axes, shares: NDArray[np.float64], gamma: float = 1) -> AxesImage:
    axes.tick_params(length=0)
    return axes.imshow(shares, cmap="Blues", norm=PowerNorm(gamma, 0, 1), interpolation="nearest")


def _largest_of_blocks(shares: NDArray[np.float64], side: int) -> NDArray[np.float64]:
    """The most of every `side` x `side` cells: on average a confusion among many would be nothing."""
    starts = np.arange(0, len(shares), side)
    return np.maximum.reduceat(np.maximum.reduceat(shares, starts, axis=0), starts, axis=1)


def _list_pairs(axes: Axes, verdict: Predictions, names: tuple[str, ...]) -> None:
    axes.set_axis_off()
    axes.set_title("most confused", fontsize=9, loc="left", color=TEXT)
    for place, pair in enumerate(verdict.most_confused(PAIRS)):
        text = f"{shorten(names[pair.right], 30)} → {shorten(names[pair.taken_for], 30)}"
        height = 1 - (place + 0.5) / PAIRS
        axes.text(0, height, f"{pair.times}/{pair.images}", fontsize=8, va="center", color=TEXT)
        axes.text(0.12, height, text, fontsize=8, va="center", color=TEXT)


def _interval(wrong: int, images: int) -> tuple[float, float]:
    found = binomtest(int(wrong), int(images)).proportion_ci(method="wilson")
    return 100 * found.low, 100 * found.high
