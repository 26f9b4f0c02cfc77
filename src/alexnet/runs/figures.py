"""Figures of a run: learning curves, filters, layer statistics over the epochs."""

from collections.abc import Sequence
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
from alexnet.plotting import BLUE, FAINT, GREY, ORANGE, save_figure

TRAIN, VAL, VAL5 = GREY, BLUE, ORANGE


def draw_curves(
    metrics: dict[str, list[float]], classes: int, chance_loss: float, title: str, path: Path
) -> None:
    """Draw loss and errors over the epochs, with those of chance, as a PNG at `path`."""
    figure = Figure(figsize=(9, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    epochs = metrics["epoch"]
    _line(left, epochs, metrics, "train/loss", "training", TRAIN)
    _line(left, epochs, metrics, "val/loss", "validation", VAL)
    _chance_line(left, chance_loss)
    left.set(xlabel="epoch", ylabel="loss")
    left.set_ylim(bottom=0)

    _line(right, epochs, metrics, "train/top1_error", "training, top-1", TRAIN)
    _line(right, epochs, metrics, "val/top1_error", "validation, top-1", VAL)
    _line(right, epochs, metrics, "val/top5_error", "validation, top-5", VAL5)
    _chance_line(right, 100 * (1 - 1 / classes))
    right.set(xlabel="epoch", ylabel="error (percent)", ylim=(0, 100))
    for axes in (left, right):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25)
        axes.legend(frameon=True, framealpha=1, edgecolor="none", fontsize=8)
    figure.suptitle(title, fontsize=10)
    save_figure(figure, path)


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
            axes.set_title(f"column {number}", fontsize=9, loc="left")
    figure.set_size_inches(8, 0.6 + columns * (0.3 * (columns > 1) + rows * 0.49))
    figure.suptitle(
        f"First layer: {len(weights)} filters of {weights.shape[3]}x{weights.shape[2]}x3", fontsize=10
    )
    save_figure(figure, path)


def _line(
    axes: Axes, epochs: list[float], metrics: dict[str, list[float]], key: str, label: str, color: str
) -> None:
    points = [(e, v) for e, v in zip(epochs, metrics.get(key, []), strict=False) if v == v]
    if points:
        axes.plot(*zip(*points, strict=True), label=label, color=color, marker="o", markersize=3)


def _chance_line(axes: Axes, value: float) -> None:
    axes.axhline(value, color=FAINT, linestyle="--", linewidth=1, label="chance")


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


def draw_layers(rows: Sequence[dict[str, Any]], title: str, path: Path) -> None:
    """Draw a panel per measure with a line per layer, the first ones dark, as a PNG at `path`.

    A row has `epoch` (0: before training), `layer` and the keys of `PANELS`, None for missing values. A
    measure that no layer has gets no panel.
    """
    layers = list(dict.fromkeys(str(row["layer"]) for row in rows))
    colors = mpl.colormaps["turbo"](np.linspace(0.04, 0.92, len(layers)))
    shown = {key: name for key, name in PANELS.items() if any(row[key] is not None for row in rows)}
    across = 2
    figure = Figure(figsize=(10, 0.7 + 2.7 * -(-len(shown) // across)), layout="constrained")
    panels = figure.subplots(-(-len(shown) // across), across, squeeze=False).flatten().tolist()
    for axes, (key, name) in zip(panels, shown.items(), strict=False):
        _draw_panel(axes, rows, key, dict(zip(layers, colors, strict=True)))
        axes.set_title(name, fontsize=10, loc="left")
    for axes in panels[len(shown) :]:
        axes.set_axis_off()
    named = [(layers[index], colors[index]) for index in evenly_spaced(len(layers), NAMED_LAYERS)]
    lines = [Line2D([], [], color=color, label=layer, linewidth=2) for layer, color in named]
    figure.legend(handles=lines, loc="outside right center", frameon=False, fontsize=9)
    figure.suptitle(title, fontsize=10)
    save_figure(figure, path)


def _draw_panel(axes: Axes, rows: Sequence[dict[str, Any]], key: str, colors: dict[str, Any]) -> None:
    share = key.endswith("_fraction")
    for layer, color in colors.items():
        points = [(row["epoch"], row[key]) for row in rows if row["layer"] == layer and row[key] is not None]
        if points:
            epochs, values = np.array(points, float).T
            shown = 100 * values if share else np.where(values > 0, values, np.nan)
            axes.plot(epochs, shown, color=color, marker="o", markersize=2.5, linewidth=1.4)
    if share:
        axes.set_ylim(-2, max(10.0, axes.get_ylim()[1]))
    else:
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(_PlainFormatter())
        axes.yaxis.set_minor_formatter(_PlainFormatter(minor_thresholds=(1, 0.4)))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.set_xlabel("epoch", fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)
