"""Figures of an inspection: nearest neighbours, and bars of layer statistics."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from alexnet.models.layer_stats import LayerStats
from alexnet.plotting import BLUE, CHART_WIDTH, LIGHT, TEXT, break_name, save_figure, shorten, themed, tidy

CELL = 0.83  # inches, of an image
TITLE_LINES, TITLE_LENGTH = 2, 10  # of the name of a class above it, and characters in a line
TITLE = 0.32  # inches, of the name


@dataclass(frozen=True)
class LabelledImage:
    """An image (3, S, S) uint8 and the index of its class."""

    image: NDArray[np.uint8]
    label: int


@themed(LIGHT)
def draw_neighbours(
    rows: Sequence[tuple[LabelledImage, Sequence[LabelledImage]]],
    names: Sequence[str],
    title: str,
    path: Path,
) -> None:
    """Draw a row for each query image with its neighbours, the nearest first, as a PNG at `path`.

    As on the right of the paper's Figure 4. An image is titled by its class, of which `names` are the names;
    neighbours of the query's class have a frame.
    """
    columns = max(len(neighbours) for _, neighbours in rows)
    size = (max(CHART_WIDTH, CELL * (columns + 1.23)), 0.5 + (CELL + TITLE) * len(rows))
    figure = Figure(figsize=size, layout="constrained")
    widths = [1, 0.12, *[1] * columns]
    cells = figure.subplots(len(rows), columns + 2, squeeze=False, width_ratios=widths)
    for axes in cells.flat:
        axes.set_axis_off()
    for (first, _, *others), (query, neighbours) in zip(cells, rows, strict=True):
        _draw_image(first, query, names, framed=False)
        for axes, neighbour in zip(others, neighbours, strict=False):
            _draw_image(axes, neighbour, names, framed=neighbour.label == query.label)
    figure.suptitle(title)
    save_figure(figure, path)


def _draw_image(axes: Axes, shown: LabelledImage, names: Sequence[str], *, framed: bool) -> None:
    axes.imshow(shown.image.transpose(1, 2, 0), interpolation="antialiased")
    name = names[shown.label].partition(",")[0]  # ImageNet's classes have several
    lines = break_name(shorten(name, TITLE_LINES * TITLE_LENGTH), TITLE_LENGTH)
    axes.set_title("\n".join(lines[:TITLE_LINES]), color=BLUE if framed else TEXT, pad=3)
    if framed:
        axes.set_axis_on()
        axes.set(xticks=[], yticks=[])
        for spine in axes.spines.values():
            spine.set(color=BLUE, linewidth=3.5)


@themed(LIGHT)
def draw_units(layers: Sequence[LayerStats], images: int, path: Path) -> None:
    """Draw dead units, saturated outputs and activations of each layer as bars, as a PNG at `path`.

    The statistics are over `images` validation images.
    """
    dead = [layer.dead_fraction for layer in layers]
    saturated = [layer.saturated_fraction for layer in layers]
    panels = [
        (name, values)
        for name, values in (("dead units (%)", dead), ("saturated (%)", saturated))
        if any(value is not None for value in values)
    ]
    figure = Figure(figsize=(CHART_WIDTH, 1.1 + 0.3 * len(layers)), layout="constrained")
    (*percentages, activation) = figure.subplots(1, len(panels) + 1, squeeze=False, sharey=True)[0]
    for axes, (name, values) in zip(percentages, panels, strict=True):
        _draw_bars(axes, [None if value is None else 100 * value for value in values], "{:.1f}%")
        axes.set(xlim=(0, 135), xticks=range(0, 101, 50), xlabel=name)
    rms = [layer.activation_rms for layer in layers]
    _draw_bars(activation, rms, "{:.3g}")
    activation.set(xlim=(0, 1.35 * max([value for value in rms if np.isfinite(value)] or [1])))
    activation.set(xlabel="activation, RMS")
    first = (percentages or [activation])[0]
    first.set_yticks(range(len(layers)), [f"{layer.layer}  ({layer.units:,})" for layer in layers])
    first.invert_yaxis()
    figure.suptitle(f"Layers and their units, over {images:,} validation images")
    save_figure(figure, path)


def _draw_bars(axes: Axes, values: Sequence[float | None], template: str) -> None:
    for height, value in enumerate(values):
        if value is not None and np.isfinite(value):
            axes.barh(height, value, color=BLUE, height=0.62)
        text = "-" if value is None else template.format(value)
        axes.annotate(text, (value or 0, height), (4, 0), textcoords="offset points", va="center_baseline")
    tidy(axes)
    axes.grid(visible=False, axis="y")
