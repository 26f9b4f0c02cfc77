"""effects.png: each arm's difference with its interval, and what was claimed."""

from collections.abc import Callable
from statistics import median

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from alexnet.compare.charts.theme import Theme, tidy, wrapped
from alexnet.compare.comparison import ArmResult, Comparison
from alexnet.compare.effects import Effect

_Row = tuple[Effect | None, float | None, float | None]  # measured, paper, run log
BELOW = 0.26  # rows; the claims stand under what was measured


def draw_effects(comparison: Comparison, theme: Theme) -> Figure:
    """A row for each arm, the largest difference on top; one column for top-1, one for top-5."""
    arms = comparison.arms
    top5 = any(arm.top5 for arm in arms)
    figure = Figure(figsize=(10 if top5 else 7.5, 1.9 + 0.55 * len(arms)), layout="constrained")
    columns = figure.subplots(1, 2 if top5 else 1, sharey=True, squeeze=False)[0]
    _column(columns[0], arms, lambda arm: (arm.top1, arm.claim.top1, arm.claim.log_top1), theme)
    columns[0].set_title("top-1 error", loc="left")
    if top5:
        _column(columns[1], arms, lambda arm: (arm.top5, arm.claim.top5, arm.claim.log_top5), theme)
        columns[1].set_title("top-5 error", loc="left")
    columns[0].set_yticks(range(len(arms)), [f"{wrapped(arm.name)}  n={len(arm.runs)}" for arm in arms])
    columns[0].set_ylim(len(arms) - 0.4, -0.6)
    for axes in columns:
        axes.tick_params(axis="y", length=0, pad=8)
    figure.supxlabel("difference in error, arm minus baseline (percentage points)", fontsize=10)
    shown = [_marker("o", theme.measured, f"measured, {comparison.confidence:.0%} interval")]
    shown.append(_marker("o", theme.measured, "measured, not resolved or no interval", hollow=True))
    if any(arm.claim.top1 is not None or arm.claim.top5 is not None for arm in arms):
        shown.append(_marker("D", theme.paper, "paper"))
    if any(arm.claim.log_top1 is not None or arm.claim.log_top5 is not None for arm in arms):
        shown.append(_marker("s", theme.log, "2012 run log"))
    figure.legend(handles=shown, loc="outside upper center", ncols=len(shown), frameon=False, fontsize=9)
    return figure


def _column(
    axes: Axes,
    arms: list[ArmResult],
    values: Callable[[ArmResult], _Row],
    theme: Theme,
) -> None:
    tidy(axes)
    axes.grid(visible=False, axis="y")
    axes.axvline(0, color=theme.text, linewidth=1)
    rows = [values(arm) for arm in arms]
    limits = _limits(rows)
    axes.set_xlim(limits)
    for row, (effect, paper, log) in enumerate(rows):
        if effect is not None:
            _measured(axes, row, effect, limits, theme)
        for marker, value, color in (("D", paper, theme.paper), ("s", log, theme.log)):
            if value is not None:
                size = 6.5 if marker == "D" else 4
                axes.plot(value, row + BELOW, marker, color=color, markersize=size)


def _measured(axes: Axes, row: int, effect: Effect, limits: tuple[float, float], theme: Theme) -> None:
    if effect.interval is not None:
        axes.plot(effect.interval, [row, row], color=theme.measured, linewidth=2.2, solid_capstyle="butt")
        for end, limit, arrow in zip(effect.interval, limits, "<>", strict=True):
            inside = limits[0] <= end <= limits[1]
            marker, place, size = ("|", end, 9) if inside else (arrow, limit, 7)
            axes.plot(place, row, marker, color=theme.measured, ms=size, mew=2, clip_on=False)
    face = theme.measured if effect.resolved else theme.background
    axes.plot(effect.mean, row, "o", color=theme.measured, markerfacecolor=face, markersize=7.5, zorder=3)


def _limits(rows: list[_Row]) -> tuple[float, float]:
    """The ends of the chart: all points and zero, and no more of an interval than leaves those apart."""
    effects = [effect for effect, _, _ in rows if effect is not None]
    points = [0.0, *(effect.mean for effect in effects)]
    points += [value for _, *claims in rows for value in claims if value is not None]
    intervals = [effect.interval for effect in effects if effect.interval is not None]
    half = median(high - low for low, high in intervals) / 2 if intervals else 0.0
    room = max(max(points) - min(points), 2 * half, 0.2)
    low = max(min([*points, *(low for low, _ in intervals)]), min(points) - room)
    high = min(max([*points, *(high for _, high in intervals)]), max(points) + room)
    margin = 0.05 * max(high - low, 1)
    return low - margin, high + margin


def _marker(marker: str, color: str, text: str, hollow: bool = False) -> Line2D:
    face = "none" if hollow else color
    return Line2D([], [], marker=marker, color=color, markerfacecolor=face, linestyle="none", label=text)
