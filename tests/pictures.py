"""Whether a figure can be read, by the boxes in which matplotlib draws its parts."""

from itertools import combinations
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from alexnet.plotting import TYPE_SIZE

Found = dict[str, list[str]]  # of each picture by its name
PHONE = 420  # CSS pixels, of a chart on a narrow page
LEAST_TYPE = 8  # CSS pixels


def watch(monkeypatch: pytest.MonkeyPatch, module: ModuleType) -> Found:
    """Return what is wrong with each figure that the module saves from now on; nothing is written."""
    found: Found = {}

    def look(figure: Figure, path: Path) -> None:
        found[path.stem] = faults(figure)

    monkeypatch.setattr(module, "save_figure", look)
    return found


def faults(figure: Figure) -> list[str]:
    """Describe each text that is small, cut off or on another one, and each legend on points."""
    FigureCanvasAgg(figure).draw()
    boxes = {text: Text.get_window_extent(text) for text in _texts(figure)}  # without arrows
    sizes = {text.get_fontsize() for text in _texts(figure)}
    found = [f"type of {size} points" for size in sizes if size != TYPE_SIZE]
    height = float(min(sizes)) * PHONE / (72 * figure.get_figwidth())
    found += [f"type of {height:.1f} pixels on a phone"] * bool(height < LEAST_TYPE)
    page = figure.bbox.padded(1)
    found += [f"{text.get_text()!r} is cut off" for text, box in boxes.items() if not _within(page, box)]
    upright = [
        (text.get_text(), box.padded(-1)) for text, box in boxes.items() if text.get_rotation() % 90 == 0
    ]
    pairs = combinations(upright, 2)  # the boxes of oblique texts overlap though these do not
    found += [f"{name!r} is on {other!r}" for (name, box), (other, under) in pairs if box.overlaps(under)]
    points = _points(figure)
    for legend in figure.findobj(Legend):
        (left, bottom), (right, top) = legend.get_window_extent().get_points()
        under = ((points > (left, bottom)) & (points < (right, top))).all(1).sum()
        found += [f"a legend is on {under} points"] * bool(under)
    return found


def _within(page: Bbox, box: Bbox) -> bool:
    return bool((box.min >= page.min).all() and (box.max <= page.max).all())


def _texts(figure: Figure) -> list[Text]:
    """Return the texts that are drawn: labels of ticks beyond the ends of an axis are not."""
    hidden = set()
    for axis in figure.findobj(Axis):
        assert isinstance(axis, Axis)
        low, high = sorted(axis.get_view_interval())
        seen = axis.axes.get_visible() and axis.axes.axison and axis.get_visible()
        for tick in [*axis.get_major_ticks(), *axis.get_minor_ticks()]:
            if not (seen and low <= tick.get_loc() <= high):
                hidden |= {tick.label1, tick.label2}
        if not seen:
            hidden |= {axis.label, axis.offsetText}
    texts = [text for text in figure.findobj(Text) if isinstance(text, Text) and text not in hidden]
    return [text for text in texts if text.get_visible() and text.get_text().strip()]


def _points(figure: Figure) -> np.ndarray:
    """Return the points of all lines in pixels; not those of lines across the axes."""
    lines = [line for axes in figure.axes for line in axes.lines if line.get_transform() == axes.transData]
    return np.concatenate(
        [np.empty((0, 2)), *(line.get_transform().transform(line.get_xydata()) for line in lines)]
    )
