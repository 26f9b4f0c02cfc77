"""Figure 2 of the paper, drawn for the network being trained."""

from collections.abc import Iterator
from itertools import pairwise, product
from math import sqrt
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from alexnet.distributed.column_summary import Column, LayerSummary
from alexnet.plotting import BLUE, GREY, ORANGE, PALE_BLUE, RED, save_figure
from alexnet.terminal import format_bytes

MAPS, POOLED, UNITS, FLOW, EXCHANGE = BLUE, PALE_BLUE, ORANGE, GREY, RED
STEP, APART, LEFT, ABOVE, BELOW = 1.05, 2.0, 1.5, 1.8, 2.0  # inches: per layer, per row, margins
WIDEST, HIGHEST, THINNEST = 0.45, 1.4, 0.06  # inches, of a block
NOTE = (
    "Below the name of a layer: its output for one image, and the number of parameters on the device.\n"
    "Red: data that each device sends to the other for one image in the forward pass, {sent} in total."
)


def draw_columns(columns: list[Column], title: str, path: Path) -> None:
    """Draw a row for each column, with lines between rows where they exchange, as a PNG at `path`.

    A block's height is proportional to the square root of the side of its maps, or of the number of its
    units; its width to that of the number of its maps.
    """
    rows = [list(_stages(column)) for column in columns]
    length, depth = STEP * len(rows[0]), APART * (len(rows) - 1)
    figure = Figure(figsize=(LEFT + length, ABOVE + depth + BELOW))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(-LEFT, length), ylim=(-depth - BELOW, ABOVE))
    axes.set_axis_off()
    layers = [layer for row in rows for layer, _ in row]
    sizes = {layer: _size(layer, layers) for layer in layers}
    for number, row in enumerate(rows):
        y = -APART * number
        held = sum(layer.parameters for layer, _ in row)
        text = f"device {number}\ncolumn {number + 1}\n{held:,}\nparameters"
        axes.text(0.2 - LEFT, y, text, va="center", fontsize=9)
        for index, (layer, _) in enumerate(row):
            x = STEP * (index + 0.5)
            _draw_block(axes, x, y, layer, sizes[layer])
            _draw_label(axes, x, y + 1.32 if number == 0 else y - 0.82, layer)
    for index, ((before, _), (after, sent)) in enumerate(pairwise(rows[0])):
        start = STEP * (index + 0.5) + sizes[before][0] / 2
        end = STEP * (index + 1.5) - sizes[after][0] / 2
        _draw_lines(axes, start, end, len(rows), sent)
    center = (length - LEFT) / 2
    axes.text(center, ABOVE - 0.2, title, ha="center", va="center", fontsize=10)
    note = NOTE.format(sent=format_bytes(sum(layer.sent for layer in columns[0])))
    axes.text(center, 0.3 - depth - BELOW, note, ha="center", va="center", fontsize=8)
    save_figure(figure, path)


def _stages(column: Column) -> Iterator[tuple[LayerSummary, int]]:
    """Yield layers, and the sums over devices that follow them, each with the bytes sent to compute it."""
    for layer in column:
        yield layer, layer.sent_before
        if layer.sent_after:
            yield LayerSummary("sum", layer.shape, 0), layer.sent_after


def _size(layer: LayerSummary, layers: list[LayerSummary]) -> tuple[float, float]:
    """Return width and height of a layer's block; the largest of each kind has full size."""
    shapes = [other.shape for other in layers if len(other.shape) == len(layer.shape)]
    parts = [sqrt(size / max(sizes)) for size, *sizes in zip(layer.shape, *shapes, strict=True)]
    if len(parts) == 1:
        return THINNEST, HIGHEST * parts[0]
    return max(THINNEST, WIDEST * parts[0]), HIGHEST * parts[1]


def _draw_block(axes: Axes, x: float, y: float, layer: LayerSummary, size: tuple[float, float]) -> None:
    color = UNITS if len(layer.shape) == 1 else MAPS if layer.parameters else POOLED
    width, height = size
    axes.add_patch(Rectangle((x - width / 2, y - height / 2), width, height, color=color, linewidth=0))


def _draw_label(axes: Axes, x: float, top: float, layer: LayerSummary) -> None:
    details = " x ".join(map(str, layer.shape)) + (f"\n{layer.parameters:,}" if layer.parameters else "")
    axes.text(x, top, layer.name, ha="center", va="top", fontsize=8, fontweight="bold")
    axes.text(x, top - 0.17, details, ha="center", va="top", fontsize=8)


def _draw_lines(axes: Axes, start: float, end: float, rows: int, sent: int) -> None:
    """Draw a line from each row to itself, and to the others if bytes are sent."""
    for source, target in product(range(rows), repeat=2):
        if source == target or sent:
            color = FLOW if source == target else EXCHANGE
            axes.plot((start, end), (-APART * source, -APART * target), color=color, linewidth=1.2, zorder=0)
    if sent:
        middle = ((start + end) / 2, -APART * (rows - 1) / 2)
        behind = {"facecolor": "white", "edgecolor": "none", "pad": 2}
        axes.text(
            *middle, format_bytes(sent), color=EXCHANGE, ha="center", va="center", fontsize=8.5, bbox=behind
        )
