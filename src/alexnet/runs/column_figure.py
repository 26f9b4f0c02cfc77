"""Figure 2 of the paper, of the network that there is."""

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
STEP, APART, LEFT, ABOVE, BELOW = 1.05, 2.0, 1.5, 1.8, 2.0  # inches: of a layer, of a row, around them
WIDEST, HIGHEST, THINNEST = 0.45, 1.4, 0.06  # inches, of a block
NOTE = (
    "Under the name of a layer: its output for an image, and how many parameters the device holds.\n"
    "Red: what each device sends the other for an image in the forward pass, {sent} in all."
)


def draw_columns(columns: list[Column], title: str, path: Path) -> None:
    """A row for each column, and lines from row to row where they exchange, as a PNG at `path`.

    A block is as high as the side of its maps and as wide as they are many, or as high as its units
    are many; all by their square roots.
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
        for place, (layer, _) in enumerate(row):
            x = STEP * (place + 0.5)
            _draw_block(axes, x, y, layer, sizes[layer])
            _draw_label(axes, x, y + 1.32 if number == 0 else y - 0.82, layer)
    for place, ((before, _), (after, sent)) in enumerate(pairwise(rows[0])):
        start = STEP * (place + 0.5) + sizes[before][0] / 2
        end = STEP * (place + 1.5) - sizes[after][0] / 2
        _draw_lines(axes, start, end, len(rows), sent)
    center = (length - LEFT) / 2
    axes.text(center, ABOVE - 0.2, title, ha="center", va="center", fontsize=10)
    note = NOTE.format(sent=format_bytes(sum(layer.sent for layer in columns[0])))
    axes.text(center, 0.3 - depth - BELOW, note, ha="center", va="center", fontsize=8)
    save_figure(figure, path)


def _stages(column: Column) -> Iterator[tuple[LayerSummary, int]]:
    """The layers, and the sums of outputs that are added up; each with the bytes that are sent for it."""
    for layer in column:
        yield layer, layer.sent_before
        if layer.sent_after:
            yield LayerSummary("sum", layer.shape, 0), layer.sent_after


def _size(layer: LayerSummary, layers: list[LayerSummary]) -> tuple[float, float]:
    """Width and height of its block; the largest of its kind is of full size."""
    alike = [each.shape for each in layers if len(each.shape) == len(layer.shape)]
    parts = [sqrt(size / max(sizes)) for size, *sizes in zip(layer.shape, *alike, strict=True)]
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
    """From each row on to itself, and to the others where bytes are sent."""
    for here, there in product(range(rows), repeat=2):
        if here == there or sent:
            color = FLOW if here == there else EXCHANGE
            axes.plot((start, end), (-APART * here, -APART * there), color=color, linewidth=1.2, zorder=0)
    if sent:
        middle = ((start + end) / 2, -APART * (rows - 1) / 2)
        behind = {"facecolor": "white", "edgecolor": "none", "pad": 2}
        axes.text(
            *middle, format_bytes(sent), color=EXCHANGE, ha="center", va="center", fontsize=8.5, bbox=behind
        )
