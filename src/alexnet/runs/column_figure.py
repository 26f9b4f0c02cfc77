"""Figure 2 of the paper, drawn for the network being trained."""

from collections.abc import Iterator
from itertools import pairwise, product
from math import sqrt
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from alexnet.distributed.column_summary import Column, LayerSummary
from alexnet.plotting import BLUE, GREY, LIGHT, ORANGE, PALE_BLUE, RED, save_figure, themed
from alexnet.terminal import format_bytes

MAPS, POOLED, UNITS, FLOW, EXCHANGE = BLUE, PALE_BLUE, ORANGE, GREY, RED
LEFT, LANE, STEP, ABOVE, BELOW = 1.5, 2.25, 0.62, 1.1, 0.95  # inches: names, per column, per layer, margins
WIDEST, THICKEST, THINNEST = 1.1, 0.3, 0.06  # inches, of a block
MOST_DEVICES = 4  # that are named
NOTE = (
    "Left: output of a layer on a device, for one image. Beside a block: its parameters there.\n"
    "Red: data that each device sends to the other for one image in the forward pass,\n{sent} in total."
)


@themed(LIGHT)
def draw_columns(columns: list[Column], title: str, path: Path, copies: int = 1) -> None:
    """Draw the columns side by side, with lines between them where they exchange, as a PNG at `path`.

    A block's width is proportional to the square root of the side of its maps, or of the number of its units;
    its height to that of the number of its maps. `copies` devices share each column.
    """
    lanes = [list(_stages(column)) for column in columns]
    depth = STEP * len(lanes[0])
    width, height = LEFT + LANE * len(lanes), ABOVE + depth + BELOW
    figure = Figure(figsize=(width, height))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, width), ylim=(height, 0))  # in inches from the upper left corner
    axes.set_axis_off()
    layers = [layer for lane in lanes for layer, _ in lane]
    sizes = {layer: _size(layer, layers) for layer in layers}
    for number, lane in enumerate(lanes):
        axes.text(_center(number), ABOVE - 0.1, _heading(number, columns, copies), ha="center", va="bottom")
        for row, (layer, _) in enumerate(lane):
            _draw_block(axes, _center(number), _height(row), layer, sizes[layer])
    for row, (layer, _) in enumerate(lanes[0]):
        _draw_name(axes, _height(row), layer)
    for row, ((before, _), (after, sent)) in enumerate(pairwise(lanes[0])):
        top, bottom = _height(row) + sizes[before][1] / 2, _height(row + 1) - sizes[after][1] / 2
        _draw_lines(axes, top, bottom, len(lanes), sent)
    axes.text(width / 2, 0.2, title, ha="center", va="center")
    note = NOTE.format(sent=format_bytes(sum(layer.sent for layer in columns[0])))
    axes.text(0.15, height - BELOW / 2, note, va="center")
    save_figure(figure, path)


def _center(number: int) -> float:
    """Return where a column's blocks are; their parameters stand on the right of them."""
    return LEFT + LANE * number + 0.8


def _height(row: int) -> float:
    return ABOVE + STEP * (row + 0.5)


def _heading(number: int, columns: list[Column], copies: int) -> str:
    """Return which devices hold a column, and how many parameters each of them."""
    held = sum(layer.parameters for layer in columns[number])
    devices = [str(number + len(columns) * copy) for copy in range(copies)]  # as the device mesh has them
    if copies == 1:
        return f"column {number + 1}, device {devices[0]}\n{held:,} parameters"
    if copies > MOST_DEVICES:
        devices = [*devices[: MOST_DEVICES - 2], "...", devices[-1]]
    named = f"{', '.join(devices[:-1])} and {devices[-1]}"
    return f"column {number + 1}\ndevices {named}: each up to\n{held:,} parameters"


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
        return WIDEST * parts[0], THINNEST
    return WIDEST * parts[1], max(THINNEST, THICKEST * parts[0])


def _draw_block(axes: Axes, x: float, y: float, layer: LayerSummary, size: tuple[float, float]) -> None:
    color = UNITS if len(layer.shape) == 1 else MAPS if layer.parameters else POOLED
    width, height = size
    axes.add_patch(Rectangle((x - width / 2, y - height / 2), width, height, color=color, linewidth=0))
    if layer.parameters:
        axes.text(x + WIDEST / 2 + 0.08, y, f"{layer.parameters:,}", va="center")


def _draw_name(axes: Axes, y: float, layer: LayerSummary) -> None:
    axes.text(0.15, y, layer.name, va="bottom", fontweight="bold")
    axes.text(0.15, y + 0.02, " x ".join(map(str, layer.shape)), va="top")


def _draw_lines(axes: Axes, top: float, bottom: float, lanes: int, sent: int) -> None:
    """Draw a line from each column to itself, and to the others if bytes are sent."""
    for source, target in product(range(lanes), repeat=2):
        if source == target or sent:
            color = FLOW if source == target else EXCHANGE
            axes.plot((_center(source), _center(target)), (top, bottom), color=color, linewidth=1.2, zorder=0)
    if sent:
        middle = ((_center(0) + _center(lanes - 1)) / 2, (top + bottom) / 2)
        behind = {"facecolor": LIGHT.background, "edgecolor": "none", "pad": 1}
        axes.text(*middle, format_bytes(sent), color=EXCHANGE, ha="center", va="center", bbox=behind)
