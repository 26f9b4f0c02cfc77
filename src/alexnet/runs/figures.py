"""Figures of a run: learning curves, filters, layer statistics over the epochs."""

import time
from collections.abc import Callable, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogFormatter, MaxNLocator
from numpy.typing import NDArray

from alexnet.data.sampling import evenly_spaced
from alexnet.plotting import (
    BLUE,
    CHART_WIDTH,
    GREY,
    LIGHT,
    ORANGE,
    epoch_marker,
    legend_above,
    save_figure,
    themed,
    tidy,
)

# colours, and styles for those who do not see them
TRAIN, VAL, VAL5 = (GREY, "--"), (BLUE, "-"), (ORANGE, "-.")

REDRAW_SECONDS = 30.0  # drawing takes up to a second, as long as many an epoch of a small network


class LiveFigure:
    """A figure of data that grow, drawn at most every `REDRAW_SECONDS` until the data are complete."""

    def __init__(self, draw: Callable[[], None]) -> None:
        self._draw = draw
        self._stale = False
        self._drawn = time.monotonic()

    def update(self) -> None:
        """Note that the data have changed, and draw them if it is time."""
        self._stale = True
        if time.monotonic() - self._drawn >= REDRAW_SECONDS:
            self.finish()

    def finish(self) -> None:
        """Draw the data unless the figure shows them already."""
        if self._stale:
            self._draw()
            self._stale, self._drawn = False, time.monotonic()


@themed(LIGHT)
def draw_curves(
    metrics: dict[str, list[float]], classes: int, chance_loss: float, title: str, path: Path
) -> None:
    """Draw loss and errors over the epochs, with those of chance, as a PNG at `path`."""
    figure = Figure(figsize=(CHART_WIDTH, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    epochs = metrics["epoch"]
    _line(left, epochs, metrics, "train/loss", "training", TRAIN)
    _line(left, epochs, metrics, "val/loss", "validation", VAL)
    _chance_line(left, chance_loss)
    left.set(xlabel="epoch", ylabel="loss")
    left.set_ylim(bottom=0)

    _line(right, epochs, metrics, "train/top1_error", "training", TRAIN)
    _line(right, epochs, metrics, "val/top1_error", "validation", VAL)
    _line(right, epochs, metrics, "val/top5_error", "validation, top-5 error", VAL5)
    _chance_line(right, 100 * (1 - 1 / classes))
    right.set(xlabel="epoch", ylabel="top-1 error (percent)", ylim=(0, 100))
    for axes in (left, right):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        tidy(axes)
    legend_above(figure, right.get_legend_handles_labels()[0], title)
    save_figure(figure, path)


@themed(LIGHT)
def draw_filters(weights: NDArray[np.float32], columns: int, path: Path) -> None:
    """Draw the first layer's filters, (filters, 3, height, width), as in figure 3, as a PNG at `path`.

    Grey is zero, and the largest weight of a filter is black or white. With two columns, the upper half shows
    the first column's filters.
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
            axes.set_title(f"column {number}", loc="left")
    figure.set_size_inches(CHART_WIDTH, 0.5 + columns * (0.3 * (columns > 1) + rows * CHART_WIDTH / across))
    figure.suptitle(f"First layer: {len(weights)} filters of {weights.shape[3]}x{weights.shape[2]}x3")
    save_figure(figure, path)


def _line(
    axes: Axes,
    epochs: list[float],
    metrics: dict[str, list[float]],
    key: str,
    label: str,
    look: tuple[str, str],
) -> None:
    color, style = look
    points = [(e, v) for e, v in zip(epochs, metrics.get(key, []), strict=False) if v == v]
    if points:
        marker = epoch_marker(len(points))
        line: Any = {"color": color, "linestyle": style, "marker": marker, "markersize": 3, "clip_on": False}
        axes.plot(*zip(*points, strict=True), label=label, **line)


def _chance_line(axes: Axes, value: float) -> None:
    axes.axhline(value, color=GREY, linestyle=(0, (1, 2)), linewidth=1, label="chance")


NAMED_LAYERS = 16  # most layers in the legend; of more, evenly spaced ones are named
PANELS = {
    "activation_rms": "activation, root mean square",
    "gradient_norm": "gradient of the weight, norm",
    "weight_norm": "weight, norm",
    "dead_fraction": "dead units, percent",
    "saturated_fraction": "saturated outputs, percent",
}


class _PlainFormatter(LogFormatter):
    """Format 2e-01 as 0.2."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        return f"{x:g}" if super().__call__(x, pos) else ""


@themed(LIGHT)
def draw_layers(rows: Sequence[dict[str, Any]], title: str, path: Path) -> None:
    """Draw a panel per measure with a line per layer, the first ones dark, as a PNG at `path`.

    Every other line is dashed, for those who do not see the colours. A row has `epoch` (0: before training),
    `layer` and the keys of `PANELS`, None for missing values. A measure that no layer has gets no panel.
    """
    layers = list(dict.fromkeys(str(row["layer"]) for row in rows))
    colors = mpl.colormaps["viridis"](np.linspace(0, 0.9, len(layers)))
    styles = cycle(("-", "--"))
    looks: dict[str, dict[str, Any]] = {
        layer: {"color": color, "linestyle": next(styles)}
        for layer, color in zip(layers, colors, strict=True)
    }
    shown = {key: name for key, name in PANELS.items() if any(row[key] is not None for row in rows)}
    across = 2
    figure = Figure(figsize=(CHART_WIDTH, 1.2 + 2.2 * -(-len(shown) // across)), layout="constrained")
    panels = figure.subplots(-(-len(shown) // across), across, squeeze=False).flatten().tolist()
    for axes, (key, name) in zip(panels, shown.items(), strict=False):
        _draw_panel(axes, rows, key, looks)
        axes.set_title(name, loc="left")
    for axes in panels[len(shown) :]:
        axes.set_axis_off()
    named = [layers[index] for index in evenly_spaced(len(layers), NAMED_LAYERS)]
    lines = [Line2D([], [], label=layer, **looks[layer]) for layer in named]
    legend_above(figure, lines, title)
    save_figure(figure, path)


def _draw_panel(
    axes: Axes, rows: Sequence[dict[str, Any]], key: str, looks: dict[str, dict[str, Any]]
) -> None:
    tidy(axes)
    share = key.endswith("_fraction")
    for layer, look in looks.items():
        points = [(row["epoch"], row[key]) for row in rows if row["layer"] == layer and row[key] is not None]
        if points:
            epochs, values = np.array(points, float).T
            shown = 100 * values if share else np.where(values > 0, values, np.nan)
            marker = epoch_marker(len(epochs))
            axes.plot(epochs, shown, marker=marker, markersize=2.5, linewidth=1.4, **look)
    if share:
        axes.set_ylim(-2, max(10.0, axes.get_ylim()[1]))
    else:
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(_PlainFormatter())
        axes.yaxis.set_minor_formatter(_PlainFormatter(minor_thresholds=(1, 0.4)))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.set_xlabel("epoch")
