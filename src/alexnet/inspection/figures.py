"""Figures of an inspection."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from alexnet.models.layer_stats import LayerStats
from alexnet.plotting import BLUE, TEXT, save_figure

SAME = BLUE
CELL = 1.3  # inches, of an image with what stands above it
LONGEST = 17  # characters of a class's name


@dataclass(frozen=True)
class LabelledImage:
    """An image (3, S, S) and its class."""

    square: NDArray[np.uint8]
    label: int


def draw_neighbours(
    rows: Sequence[tuple[LabelledImage, Sequence[LabelledImage]]],
    names: Sequence[str],
    title: str,
    path: Path,
) -> None:
    """A row for each image, with its neighbours beside it, the nearest first, as a PNG at `path`.

    As on the right of the paper's Figure 4; above an image is its class (`names` are those of all), and
    around a neighbour of the same class a frame.
    """
    most = max(len(neighbours) for _, neighbours in rows)
    figure = Figure(figsize=(CELL * (most + 1.25), 0.55 + (CELL + 0.12) * len(rows)), layout="constrained")
    widths = [1, 0.12, *[1] * most]
    cells = figure.subplots(len(rows), most + 2, squeeze=False, width_ratios=widths)
    for axes in cells.flat:
        axes.set_axis_off()
    for line, (query, neighbours) in zip(cells, rows, strict=True):
        _draw_picture(line[0], query, names, frame=None)
        for axes, neighbour in zip(line[2:], neighbours, strict=False):
            same = neighbour.label == query.label
            _draw_picture(axes, neighbour, names, frame=SAME if same else None)
    figure.suptitle(title, fontsize=10)
    save_figure(figure, path)


def _draw_picture(axes: Axes, picture: LabelledImage, names: Sequence[str], frame: str | None) -> None:
    axes.imshow(picture.square.transpose(1, 2, 0), interpolation="antialiased")
    axes.set_title(shorten_class_name(names[picture.label]), fontsize=8, color=frame or TEXT, pad=3)
    if frame is not None:
        axes.set_axis_on()
        axes.set(xticks=[], yticks=[])
        for spine in axes.spines.values():
            spine.set(color=frame, linewidth=3.5)


def draw_units(layers: Sequence[LayerStats], images: int, path: Path) -> None:
    """Bars for each layer: dead units and saturated outputs in percent, activations; a PNG at `path`."""
    dead = [layer.dead_fraction for layer in layers]
    saturated = [layer.saturated_fraction for layer in layers]
    panels = [
        (name, values)
        for name, values in (("dead units, percent", dead), ("saturated outputs, percent", saturated))
        if any(value is not None for value in values)
    ]
    figure = Figure(figsize=(9, 1.1 + 0.3 * len(layers)), layout="constrained")
    (*shares, strength) = figure.subplots(1, len(panels) + 1, squeeze=False, sharey=True)[0]
    for axes, (name, values) in zip(shares, panels, strict=True):
        percents = [None if value is None else 100 * value for value in values]
        _draw_bars(axes, percents, "{:.1f}%")
        axes.set(xlim=(0, 118), xticks=range(0, 101, 25), xlabel=name)
    rms = [layer.activation_rms for layer in layers]
    _draw_bars(strength, list(rms), "{:.3g}")
    strength.set(xlim=(0, 1.2 * max([value for value in rms if np.isfinite(value)] or [1])))
    strength.set(xlabel="activation, root mean square")
    first = (shares or [strength])[0]
    first.set_yticks(range(len(layers)), [f"{layer.layer}  ({layer.units:,})" for layer in layers])
    first.invert_yaxis()
    figure.suptitle(f"Layers and their units, over {images:,} validation images", fontsize=10)
    save_figure(figure, path)


def _draw_bars(axes: Axes, values: Sequence[float | None], form: str) -> None:
    for place, value in enumerate(values):
        if value is not None and np.isfinite(value):
            axes.barh(place, value, color=SAME, height=0.62)
        text = "-" if value is None else form.format(value)
        axes.annotate(
            text,
            (value or 0, place),
            (4, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
            color=TEXT,
        )
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25, axis="x")
    axes.set_axisbelow(True)
    axes.tick_params(length=0, labelsize=9)
    axes.xaxis.label.set_fontsize(9)


def shorten_class_name(name: str) -> str:
    """The first of a class's names, cut where it is long."""
    first = name.partition(",")[0]
    return first if len(first) <= LONGEST else f"{first[: LONGEST - 1]}…"
