"""cost.png: what each arm does to the error, against how fast it trains."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from scipy.optimize import isotonic_regression

from alexnet.compare.charts.theme import Theme, tidy, wrapped
from alexnet.compare.comparison import Comparison


@dataclass(frozen=True)
class _Point:
    """An arm on the chart."""

    name: str
    speed: float  # images a second
    effect: float  # percentage points
    interval: tuple[float, float] | None


def draw_cost(comparison: Comparison, theme: Theme) -> Figure:
    """Difference in top-1 error over images a second; the names stand in a column beside the points."""
    points = sorted(_points(comparison), key=lambda point: point.effect)
    names = [wrapped(point.name, 36) for point in points]
    line = 0.2 * max((name.count("\n") + 1 for name in names), default=1)  # inches that a name takes
    inches = max(4.2, 1.2 + 1.5 * line * len(points))
    figure = Figure(figsize=(8.8, inches), layout="constrained")
    if not points:
        figure.text(0.5, 0.5, "These runs do not say how fast they trained.", ha="center")
        return figure
    axes = figure.subplots()
    tidy(axes)
    axes.axhline(0, color=theme.text, linewidth=1)
    axes.set_xlabel("training speed (images/s); further right is faster")
    axes.set_ylabel(
        "difference in top-1 error, arm minus baseline\n(percentage points); further down is better"
    )
    for point in points:
        base = point.name == comparison.baseline.name
        color = theme.baseline if base else theme.measured
        axes.plot(point.speed, point.effect, "D" if base else "o", color=color, markersize=7, zorder=3)
    axes.margins(0.08, 0.25)
    low, high = axes.get_ylim()
    axes.set_ylim(low, high)  # of the points: one wide interval would press all of them together
    for point in points:
        if point.interval is not None:
            axes.plot([point.speed] * 2, point.interval, color=theme.measured, alpha=0.45, linewidth=2)
    heights = [(point.effect - low) / (high - low) for point in points]
    for point, name, height in zip(points, names, spread(heights, line / (inches - 0.8)), strict=True):
        axes.annotate(
            name,
            (point.speed, point.effect),
            (1.06, height),
            textcoords="axes fraction",
            va="center",
            fontsize=9,
            arrowprops={"arrowstyle": "-", "color": theme.faint, "shrinkB": 5, "relpos": (0, 0.5)},
        )
    return figure


def _points(comparison: Comparison) -> Iterator[_Point]:
    for arm in comparison.everything:
        speed = arm.mean(lambda run: run.images_per_second)
        if speed is not None:
            mean, interval = (arm.top1.mean, arm.top1.interval) if arm.top1 else (0.0, None)
            yield _Point(arm.name, speed, mean, interval)


def spread(wanted: Sequence[float], gap: float) -> list[float]:
    """Heights from 0 to 1 as near the wanted ones, which rise, as `gap` between them allows."""
    steps = gap * np.arange(len(wanted))
    moved = isotonic_regression(np.asarray(wanted) - steps).x  # may not fall: then `gap` apart
    return (np.clip(moved, 0, max(0, 1 - steps[-1])) + steps).tolist()
