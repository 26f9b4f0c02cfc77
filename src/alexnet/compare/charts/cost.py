"""cost.png: what each arm does to the error, against how fast it trains."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from scipy.optimize import isotonic_regression

from alexnet.compare.charts.effects import axis_limits
from alexnet.compare.comparison import Comparison
from alexnet.plotting import Theme, tidy, wrap_name


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
    low, high = axis_limits([arm.top1 for arm in comparison.arms if arm.top1])
    names = [
        wrap_name(point.name + ("" if low <= point.effect <= high else f" {point.effect:+.2f}"), 36)
        for point in points
    ]
    label_inches = 0.2 * max((name.count("\n") + 1 for name in names), default=1)
    inches = max(4.2, 1.2 + 1.5 * label_inches * len(points))
    figure = Figure(figsize=(8.8, inches), layout="constrained")
    if not points:
        figure.text(0.5, 0.5, "These runs do not record how fast they trained.", ha="center")
        return figure
    axes = figure.subplots()
    tidy(axes)
    axes.axhline(0, color=theme.text, linewidth=1)
    axes.set_xlabel("training speed (images/s); further right is faster")
    axes.set_ylabel(
        "difference in top-1 error, arm minus baseline\n(percentage points); further down is better"
    )
    axes.margins(x=0.08)
    axes.set_ylim(low, high)
    heights = [float(np.clip((point.effect - low) / (high - low), 0, 1)) for point in points]
    label_heights = spread(heights, label_inches / (inches - 0.8))
    for point, name, height, label_height in zip(points, names, heights, label_heights, strict=True):
        is_baseline = point.name == comparison.baseline.name
        marker = "D" if is_baseline else "v" if point.effect < low else "^" if point.effect > high else "o"
        position = (point.speed, low + height * (high - low))
        color = theme.baseline if is_baseline else theme.measured
        axes.plot(*position, marker, color=color, markersize=7, zorder=3, clip_on=False)
        if point.interval is not None:
            axes.plot([point.speed] * 2, point.interval, color=theme.measured, alpha=0.45, linewidth=2)
        axes.annotate(
            name,
            position,
            (1.06, label_height),
            textcoords="axes fraction",
            va="center",
            fontsize=9,
            arrowprops={"arrowstyle": "-", "color": theme.faint, "shrinkB": 5, "relpos": (0, 0.5)},
            zorder=1.5,  # below the points
        )
    return figure


def _points(comparison: Comparison) -> Iterator[_Point]:
    for arm in comparison.all_variants:
        speed = arm.mean(lambda run: run.images_per_second)
        if speed is not None and (arm.top1 or arm is comparison.baseline):  # others never started
            mean, interval = (arm.top1.mean, arm.top1.interval) if arm.top1 else (0.0, None)
            yield _Point(arm.name, speed, mean, interval)


def spread(wanted: Sequence[float], gap: float) -> list[float]:
    """Return heights from 0 to 1, at least `gap` apart and as near as possible to `wanted`, which rises."""
    steps = gap * np.arange(len(wanted))
    moved = isotonic_regression(np.asarray(wanted) - steps).x  # never falls: the heights are `gap` apart
    return (np.clip(moved, 0, max(0, 1 - steps[-1])) + steps).tolist()
