"""cost.png: what each arm does to the error, against how fast it trains."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression, linear_sum_assignment
from scipy.spatial.distance import cdist

from alexnet.compare.charts.effects import axis_limits
from alexnet.compare.comparison import Comparison
from alexnet.plotting import CHART_WIDTH, Theme, shorten, tidy, wrap_name

LEFT, RIGHT, ABOVE, BELOW = 0.95, 2.2, 0.15, 0.5  # inches around the axes; the names are on the right
GAP = 0.3  # inches between the axes and the names
LINE, BETWEEN = 0.16, 0.07  # inches, of a line of a name and between two names
NAME_CHARACTERS = 24
MARGIN = 0.08  # of the range of speeds, on each side of the points
LEAST_RANGE = 0.2  # of the fastest speed: smaller differences are not drawn large


@dataclass(frozen=True)
class _Point:
    """An arm on the chart."""

    name: str
    speed: float  # images a second
    effect: float  # percentage points
    interval: tuple[float, float] | None


def draw_cost(comparison: Comparison, theme: Theme) -> Figure:
    """Draw differences in top-1 error over images a second, with the names in a column beside the points.

    A difference that is many times the others lies outside of the axes: an arrow and its number show it.
    """
    points = sorted(_points(comparison), key=lambda point: point.effect)
    if not points:
        figure = Figure(figsize=(CHART_WIDTH, 1.2))
        figure.text(0.5, 0.5, "These runs do not record how fast they trained.", ha="center")
        return figure
    low, high = axis_limits([arm.top1 for arm in comparison.arms if arm.top1])
    names = [
        wrap_name(
            point.name + ("" if low <= point.effect <= high else f" {point.effect:+.2f}"), NAME_CHARACTERS
        )
        for point in points
    ]
    name_inches = LINE * max(name.count("\n") + 1 for name in names) + BETWEEN
    size = np.array([CHART_WIDTH - LEFT - RIGHT, max(3.4, name_inches * len(points))])
    figure = Figure(figsize=(CHART_WIDTH, BELOW + size[1] + ABOVE))
    corner = np.array([LEFT, BELOW])
    axes = figure.add_axes((*(corner / figure.get_size_inches()), *(size / figure.get_size_inches())))
    _prepare(axes, comparison.baseline.name, [point.speed for point in points], (low, high), theme)
    places = axes.transAxes.inverted().transform(
        axes.transData.transform([(point.speed, np.clip(point.effect, low, high)) for point in points])
    )
    heights = label_heights(places * size, size[0] + GAP, name_inches, size[1])
    for point, name, place, height in zip(points, names, places, heights, strict=True):
        is_baseline = point.name == comparison.baseline.name
        marker = "D" if is_baseline else "v" if point.effect < low else "^" if point.effect > high else "o"
        color = theme.baseline if is_baseline else theme.measured
        if point.interval is not None:
            axes.plot([point.speed] * 2, point.interval, color=theme.measured, alpha=0.4, linewidth=1.6)
        axes.plot(
            *place, marker, color=color, markersize=7, zorder=3, clip_on=False, transform=axes.transAxes
        )
        axes.annotate(
            name,
            tuple(place),
            (1 + GAP / size[0], height / size[1]),
            xycoords="axes fraction",
            va="center",
            arrowprops={"arrowstyle": "-", "color": theme.faint, "shrinkB": 5, "relpos": (0, 0.5)},
            zorder=1.5,  # below the points
        )
    return figure


def _prepare(
    axes: Axes, baseline: str, speeds: Sequence[float], limits: tuple[float, float], theme: Theme
) -> None:
    tidy(axes)
    axes.axhline(0, color=theme.text, linewidth=1)
    axes.set_xlabel("training speed (images/s); further right is faster")
    what = f"top-1 error minus that of {shorten(baseline)}"
    axes.set_ylabel(f"{what}\n(percentage points); further down is better")
    slowest, fastest = min(speeds), max(speeds)
    middle = (slowest + fastest) / 2
    half = max((0.5 + MARGIN) * (fastest - slowest), LEAST_RANGE / 2 * fastest) or 1.0
    axes.set_xlim(middle - half, middle + half)
    axes.set_ylim(limits)


def _points(comparison: Comparison) -> Iterator[_Point]:
    for arm in comparison.all_variants:
        speed = arm.mean(lambda run: run.images_per_second)
        if speed is not None and (arm.top1 or arm is comparison.baseline):  # others never started
            mean, interval = (arm.top1.mean, arm.top1.interval) if arm.top1 else (0.0, None)
            yield _Point(arm.name, speed, mean, interval)


def label_heights(points: NDArray[np.float64], column: float, gap: float, height: float) -> list[float]:
    """Return the height of each point's label in a column at x = `column`, with no two lines crossing.

    All are in inches: `points` (N, 2) in order of their heights, which are from 0 to `height`. The labels are
    at least `gap` apart. Of all ways to join points and labels the one with the shortest lines has no
    crossing: to swap the ends of two lines that cross would make both together shorter.
    """
    slots = np.array(spread((points[:, 1] / height).tolist(), gap / height)) * height
    _, chosen = linear_sum_assignment(cdist(points, np.column_stack([np.full_like(slots, column), slots])))
    return slots[chosen].tolist()


def spread(wanted: Sequence[float], gap: float) -> list[float]:
    """Return heights from 0 to 1, at least `gap` apart and as near as possible to `wanted`, which rises."""
    steps = gap * np.arange(len(wanted))
    moved = isotonic_regression(np.asarray(wanted) - steps).x  # never falls: the heights are `gap` apart
    return (np.clip(moved, 0, max(0, 1 - steps[-1])) + steps).tolist()
