"""Figures of an inspection: nearest neighbours, and bars of layer statistics."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from alexnet.models.layer_stats import LayerStats
from alexnet.plotting import BLUE, TEXT, save_figure, shorten, tidy

CELL = 1.3  # inches, of an image with its title
TITLE_LENGTH = 17  # characters of a class's name


@dataclass(frozen=True)
class LabelledImage:
    """An image (3, S, S) uint8 and the index of its class."""

    image: NDArray[np.uint8]
    label: int


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
    figure = Figure(figsize=(CELL * (columns + 1.25), 0.55 + (CELL + 0.12) * len(rows)), layout="constrained")
    widths = [1, 0.12, *[1] * columns]
    cells = figure.subplots(len(rows), columns + 2, squeeze=False, width_ratios=widths)
    for axes in cells.flat:
        axes.set_axis_off()
    for (first, _, *others), (query, neighbours) in zip(cells, rows, strict=True):
        _draw_image(first, query, names, framed=False)
        for axes, neighbour in zip(others, neighbours, strict=False):
            _draw_image(axes, neighbour, names, framed=neighbour.label == query.label)
    figure.suptitle(title, fontsize=10)
    save_figure(figure, path)


def _draw_image(axes: Axes, shown: LabelledImage, names: Sequence[str], *, framed: bool) -> None:
    axes.imshow(shown.image.transpose(1, 2, 0), interpolation="antialiased")
    name = names[shown.label].partition(",")[0]  # ImageNet's classes have several
    axes.set_title(shorten(name, TITLE_LENGTH), fontsize=8, color=BLUE if framed else TEXT, pad=3)
    if framed:
        axes.set_axis_on()
        axes.set(xticks=[], yticks=[])
        for spine in axes.spines.values():
            spine.set(color=BLUE, linewidth=3.5)


def draw_units(layers: Sequence[LayerStats], images: int, path: Path) -> None:
    """Draw dead units, saturated outputs and activations of each layer as bars, as a PNG at `path`.

    The statistics are over `images` validation images.
    """
    dead = [layer.dead_fraction for layer in layers]
    saturated = [layer.saturated_fraction for layer in layers]
    panels = [
        (name, values)
        for name, values in (("dead units, percent", dead), ("saturated outputs, percent", saturated))
        if any(value is not None for value in values)
    ]
    figure = Figure(figsize=(9, 1.1 + 0.3 * len(layers)), layout="constrained")
    (*percentages, activation) = figure.subplots(1, len(panels) + 1, squeeze=False, sharey=True)[0]
    for axes, (name, values) in zip(percentages, panels, strict=True):
        _draw_bars(axes, [None if value is None else 100 * value for value in values], "{:.1f}%")
        axes.set(xlim=(0, 118), xticks=range(0, 101, 25), xlabel=name)
    rms = [layer.activation_rms for layer in layers]
    _draw_bars(activation, rms, "{:.3g}")
    activation.set(xlim=(0, 1.2 * max([value for value in rms if np.isfinite(value)] or [1])))
    activation.set(xlabel="activation, root mean square")
    first = (percentages or [activation])[0]
    first.set_yticks(range(len(layers)), [f"{layer.layer}  ({layer.units:,})" for layer in layers])
    first.invert_yaxis()
    figure.suptitle(f"Layers and their units, over {images:,} validation images", fontsize=10)
    save_figure(figure, path)


def _draw_bars(axes: Axes, values: Sequence[float | None], template: str) -> None:
    style: dict[str, Any] = {"va": "center", "fontsize": 8, "color": TEXT}
    for height, value in enumerate(values):
        if value is not None and np.isfinite(value):
            axes.barh(height, value, color=BLUE, height=0.62)
        text = "-" if value is None else template.format(value)
        axes.annotate(text, (value or 0, height), (4, 0), textcoords="offset points", **style)
    tidy(axes)
    axes.grid(visible=False, axis="y")
    axes.tick_params(labelsize=9)
    axes.xaxis.label.set_fontsize(9)
