"""Shared parts of all figures: themes and colours, saving, shortened names, and sheets of images."""

import io
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text
from numpy.typing import NDArray

from alexnet.files import atomic_write

# names in scripts that no installed font has are drawn as boxes: that needs no warning for each letter
warnings.filterwarnings("ignore", message=r"Glyph \d+ .*missing from font", category=UserWarning)


@dataclass(frozen=True)
class Theme:
    """The colours of a theme; those of data series are from Okabe and Ito's colour-blind-safe palette."""

    background: str
    text: str
    faint: str  # grid, zero line
    measured: str
    paper: str
    log: str
    baseline: str


# where the line of a name may end: after _, = and commas, but not in 1,234
NAME_BREAKS = r"(?<=[_=])(?=\S)|(?<=\w[+:])(?=[^\W\d])|(?<=,)(?=[^\s\d])|(?<=[^\d],)(?=\d)"
# inches, and points: all charts of a page are shown equally wide, their type is of one size, and on a phone,
# which shows a chart some 400 pixels wide, it is still 8 pixels high
CHART_WIDTH, TYPE_SIZE = 6.0, 9.0
DPI = 150  # of PNG files
MARKED_EPOCHS = 30

LIGHT = Theme("#ffffff", "#1d2126", "#c9ced4", "#0072b2", "#d55e00", "#007a5a", "#6b7178")
DARK = Theme("#14171a", "#e4e7ea", "#454c54", "#56b4e9", "#e69f00", "#3fc79a", "#9aa1a8")
# of figures that are drawn for a light page only
BLUE, ORANGE, GREY, TEXT = LIGHT.measured, LIGHT.paper, LIGHT.baseline, LIGHT.text
PALE_BLUE, RED = "#a9c4de", "#b3261e"
TYPE_SIZES = ("font.size", "axes.titlesize", "figure.titlesize", "figure.labelsize", "legend.fontsize")


@contextmanager
def themed(theme: Theme) -> Iterator[None]:
    """Set matplotlib's defaults while a chart is drawn and saved."""
    settings: Any = {
        "figure.facecolor": theme.background,
        "axes.facecolor": theme.background,
        "savefig.facecolor": theme.background,
        **dict.fromkeys(("text.color", "axes.labelcolor", "xtick.color", "ytick.color"), theme.text),
        **dict.fromkeys(("axes.edgecolor", "grid.color"), theme.faint),
        **dict.fromkeys(TYPE_SIZES, TYPE_SIZE),
        "svg.hashsalt": "alexnet",  # identical charts give identical files
    }
    with mpl.rc_context(settings):
        yield


def render(draw: Callable[[Theme], Figure], theme: Theme, form: str) -> bytes:
    """Return a chart as the bytes of an image file; `form` is png or svg."""
    with themed(theme):
        figure = draw(theme)
        _draw_dollars(figure)
        return _save(figure, form)


def render_for_pages(draw: Callable[[Theme], Figure]) -> tuple[bytes, bytes]:
    """Return a chart as a PNG for a light page, and as an SVG that follows a page's theme, light or dark."""
    with themed(LIGHT):
        figure = draw(LIGHT)
        _draw_dollars(figure)
        png = _save(figure, "png")
        figure.set_layout_engine("none")  # as it is laid out by now: that takes as long as drawing
        return png, _follow_theme(_save(figure, "svg"))


def _save(figure: Figure, form: str) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format=form, dpi=DPI, metadata={"Date": None} if form == "svg" else {})
    return file.getvalue()


def _follow_theme(svg: bytes) -> bytes:
    """Replace the colours of the light theme by variables, which the dark one sets anew."""
    names = {color: f"var(--{name})" for name, color in asdict(LIGHT).items()}
    text = re.sub("#[0-9a-f]{6}", lambda color: names.get(color[0], color[0]), svg.decode())
    light, dark = (
        "".join(f"--{name}:{color};" for name, color in asdict(theme).items()) for theme in (LIGHT, DARK)
    )
    variables = f":root{{{light}}}@media (prefers-color-scheme: dark){{:root{{{dark}}}}}"
    return text.replace('<style type="text/css">', f'<style type="text/css">{variables}', 1).encode()


def tidy(axes: Axes) -> None:
    """Remove the top and right borders of a chart, and draw a grid behind it."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.5, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(length=0)


def legend_above(figure: Figure, handles: Sequence[Artist], title: str = "") -> None:
    """Draw a legend above the axes of a constrained layout, in as few rows of one length as have room."""
    style: Any = {
        "title": title,
        "loc": "outside upper center",
        "frameon": False,
        "handlelength": 1.6,
        "columnspacing": 1.4,
    }
    for rows in range(1, len(handles) + 1):
        columns = -(-len(handles) // rows)
        legend = figure.legend(handles=handles, ncols=columns, **style)
        if columns == 1 or legend.get_window_extent().width <= figure.bbox.width:
            return
        legend.remove()


def epoch_marker(epochs: int) -> str | None:
    """Return the marker of the points of a curve over so many epochs: of many there is a line alone."""
    return "o" if epochs <= MARKED_EPOCHS else None


def wrap_name(name: str, width: int = 24) -> str:
    """Break a name into at most three lines, as `break_name` does; what is longer is cut off."""
    lines = break_name(name, width)
    return "\n".join(lines[:3]) + (" ..." if len(lines) > 3 else "")


def break_name(name: str, width: int) -> list[str]:
    """Break a name after _, =, a comma or a space into lines of at most `width` characters.

    A part that is longer is broken anywhere.
    """
    lines = [""]
    for part in re.split(f"{NAME_BREAKS}|(?<= )", name):
        if lines[-1] and len(lines[-1] + part.rstrip()) > width:
            lines.append("")
        full = [part[start : start + width] for start in range(0, len(part), width)]
        lines[-1:] = [lines[-1] + full[0], *full[1:]] if full else lines[-1:]
    return [line.strip() for line in lines]


def save_figure(figure: Figure, path: Path) -> None:
    """Write a PNG atomically into an existing folder."""
    _draw_dollars(figure)
    with atomic_write(path) as file:
        figure.savefig(file, format="png", dpi=DPI)


def _draw_dollars(figure: Figure) -> None:
    """Draw `$` in names as such: TeX between two of them may be invalid. Powers of ten need theirs."""
    for text in figure.findobj(Text):
        assert isinstance(text, Text)
        text.set_parse_math(False)
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            if axis.get_scale() == "log":
                for label in axis.get_ticklabels(which="both"):
                    label.set_parse_math(True)


IMAGES_IN_ROW, MOST_IMAGES = 3, 12  # of a sheet
CORRECT = "#d98a9c"  # bar of the correct class, as in the paper's figure 4
MAX_NAME, MAX_HEADING = 20, 24  # characters above an image, of a class's name and of the sheet's heading


@dataclass(frozen=True)
class SheetImage:
    """An image (3, S, S) with its title and its most probable classes.

    `classes` are indices, with their `probabilities`; `label` is the index of the correct class, None if
    unknown.
    """

    image: NDArray[np.uint8]
    title: str
    classes: Sequence[int]
    probabilities: Sequence[float]
    label: int | None


@themed(LIGHT)
def draw_image_sheet(
    images: Sequence[SheetImage], names: Sequence[str], path: Path, heading: str = ""
) -> None:
    """Draw images with a bar for the probability of each of their classes, as a PNG at `path`.

    The layout is that of the left half of the paper's figure 4; the bar of the correct class is red, with a
    tick before its name. `names` are those of all classes.
    """
    columns = min(IMAGES_IN_ROW, len(images))
    rows = -(-len(images) // columns)
    cell = CHART_WIDTH / IMAGES_IN_ROW
    figure = Figure(figsize=(cell * columns, 1.7 * cell * rows), layout="constrained")
    cells = figure.subplots(2 * rows, columns, squeeze=False, height_ratios=[2.2, 1.3] * rows)
    for axes in cells.flat:
        axes.set_axis_off()
    for index, item in enumerate(images):
        image, bars = (cells[2 * (index // columns) + part][index % columns] for part in (0, 1))
        image.imshow(item.image.transpose(1, 2, 0), interpolation="antialiased")
        image.set_title(shorten(item.title))
        for row, (number, probability) in enumerate(zip(item.classes, item.probabilities, strict=True)):
            color, tick = (CORRECT, "✓ ") if number == item.label else (PALE_BLUE, "")
            bars.barh(row, probability, color=color, height=0.9)
            bars.text(0.02, row, shorten(tick + names[number]), va="center")
        bars.set(xlim=(0, 1), ylim=(len(item.classes) - 0.4, -0.6))
    if heading:
        figure.suptitle("\n".join(break_name(heading, MAX_HEADING * columns)))
    save_figure(figure, path)


def shorten(name: str, longest: int = MAX_NAME) -> str:
    """Shorten a name to at most `longest` characters, ending in an ellipsis if it was longer."""
    return name if len(name) <= longest else f"{name[: longest - 1]}…"


def shorten_file(name: str, longest: int = MAX_NAME) -> str:
    """Shorten the name of a file in its middle: names of one folder often differ at their ends alone."""
    start = (longest - 1) // 2
    return name if len(name) <= longest else f"{name[:start]}…{name[start + 1 - longest :]}"
