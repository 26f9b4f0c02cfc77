"""Colours of the charts, on light and on dark."""

import io
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure


@dataclass(frozen=True)
class Theme:
    """Colours of one background; the series' are Okabe and Ito's, which colour-blind readers can tell."""

    background: str
    text: str
    faint: str  # grid, zero line
    measured: str
    paper: str
    log: str
    baseline: str


LIGHT = Theme("#ffffff", "#1d2126", "#c9ced4", "#0072b2", "#d55e00", "#007a5a", "#6b7178")
DARK = Theme("#14171a", "#e4e7ea", "#454c54", "#56b4e9", "#e69f00", "#3fc79a", "#9aa1a8")


@contextmanager
def themed(theme: Theme) -> Iterator[None]:
    """Matplotlib's defaults while a chart is drawn and saved."""
    settings: Any = {
        "figure.facecolor": theme.background,
        "axes.facecolor": theme.background,
        "savefig.facecolor": theme.background,
        **dict.fromkeys(("text.color", "axes.labelcolor", "xtick.color", "ytick.color"), theme.text),
        **dict.fromkeys(("axes.edgecolor", "grid.color"), theme.faint),
        "font.size": 10,
        "axes.titlesize": 10,
        "svg.hashsalt": "alexnet",  # or the same chart would be another file each time
    }
    with mpl.rc_context(settings):
        yield


def image(draw: Callable[[Theme], Figure], theme: Theme, form: str) -> bytes:
    """The file that a chart makes: `form` is png or svg."""
    with themed(theme):
        file = io.BytesIO()
        draw(theme).savefig(file, format=form, dpi=150, metadata={"Date": None} if form == "svg" else {})
    return file.getvalue()


def tidy(axes: Axes) -> None:
    """No box around the chart, a grid behind it."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.5, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(length=0)


def wrapped(name: str, width: int = 24) -> str:
    """An arm's name in lines of about `width` characters, broken after _, = or a space; at most three."""
    lines = [""]
    for part in re.split(r"(?<=[_= ])", name):
        if lines[-1] and len(lines[-1] + part) > width:
            lines.append("")
        lines[-1] += part[:width]
    return "\n".join(line.strip() for line in lines[:3]) + (" ..." if len(lines) > 3 else "")
