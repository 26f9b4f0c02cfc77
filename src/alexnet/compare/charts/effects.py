"""effects.png: each arm's difference with its interval, and what was claimed."""

from collections.abc import Callable, Sequence
from math import copysign
from statistics import median
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from alexnet.compare.comparison import ArmResult, Comparison
from alexnet.compare.effects import Effect
from alexnet.compare.tables import difference_text, interval_text
from alexnet.config.study import Design
from alexnet.plotting import CHART_WIDTH, Theme, tidy, wrap_name

_Row = tuple[Effect | None, float | None, float | None]  # measured, paper, run log
MOST_STEPS = 6  # along an axis: more numbers would touch each other
CLAIM_OFFSET = 0.26  # rows; the claims stand under what was measured
WIDE = 10.0  # percentage points: an axis has no more room than this for intervals alone
OUTLIER_FACTOR = 4  # times all others: an arm further out would press them together


def draw_effects(comparison: Comparison, theme: Theme) -> Figure:
    """Draw a row for each arm, the largest difference on top, with a column for each error.

    Where all arms have the year of a publication, they are in its order; a cumulative study's are connected.
    A difference that is many times the others lies outside of the axes: an arrow and its number show it.
    """
    arms = by_year(comparison)
    top5 = any(arm.top5 for arm in arms)
    figure = Figure(figsize=(CHART_WIDTH, 1.9 + 0.55 * len(arms)), layout="constrained")
    columns = figure.subplots(1, 2 if top5 else 1, sharey=True, squeeze=False)[0]
    _column(columns[0], arms, lambda arm: (arm.top1, arm.claim.top1, arm.claim.log_top1), theme)
    columns[0].set_title("top-1 error", loc="left")
    if top5:
        _column(columns[1], arms, lambda arm: (arm.top5, arm.claim.top5, arm.claim.log_top5), theme)
        columns[1].set_title("top-5 error", loc="left")
    columns[0].set_yticks(range(len(arms)), [_label(arm) for arm in arms])
    if comparison.record is not None and comparison.record.design is Design.cumulative:
        for axes, differences in zip(
            columns, ([arm.top1 for arm in arms], [arm.top5 for arm in arms]), strict=False
        ):
            rows = [(row, effect.mean) for row, effect in enumerate(differences) if effect]
            axes.plot([mean for _, mean in rows], [row for row, _ in rows], color=theme.measured, linewidth=1)
    columns[0].set_ylim(len(arms) - 0.4, -0.6)
    for axes in columns:
        axes.tick_params(axis="y", length=0, pad=14)
        axes.xaxis.set_major_locator(MaxNLocator(MOST_STEPS, steps=[1, 2, 2.5, 5, 10]))
    figure.supxlabel("difference in error, arm minus baseline (percentage points)", fontsize=10)
    handles = [_marker("o", theme.measured, f"measured, {comparison.confidence:.0%} interval")]
    handles.append(_marker("o", theme.measured, "measured, not resolved or no interval", hollow=True))
    if any(arm.claim.top1 is not None or arm.claim.top5 is not None for arm in arms):
        handles.append(_marker("D", theme.paper, "paper"))
    if any(arm.claim.log_top1 is not None or arm.claim.log_top5 is not None for arm in arms):
        handles.append(_marker("s", theme.log, "2012 run log"))
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles), frameon=False, fontsize=9)
    return figure


def by_year(comparison: Comparison) -> list[ArmResult]:
    """Return the arms in the order of the years of their claims, or else as they are.

    Those of a cumulative study are in its own order.
    """
    record, arms = comparison.record, comparison.arms
    if record is not None and record.design is Design.cumulative:
        return sorted(arms, key=lambda arm: list(record.arms).index(arm.name))
    if any(arm.claim.year is None for arm in arms):
        return arms
    return sorted(arms, key=lambda arm: (arm.claim.year or 0, arm.name))


def _label(arm: ArmResult) -> str:
    year = f"  {arm.claim.year}" if arm.claim.year else ""
    return f"{wrap_name(arm.name)}{year}  n={len(arm.started)}"


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
    measured = [effect for effect, _, _ in rows if effect is not None]
    low, high = axis_limits(measured, [value for _, *claims in rows for value in claims if value is not None])
    axes.set_xlim(low, high)
    for row, (effect, paper, log) in enumerate(rows):
        if effect is not None:
            _draw_measured(axes, row, effect, theme)
        for marker, value, color in (("D", paper, theme.paper), ("s", log, theme.log)):
            if value is not None:
                size = 6.5 if marker == "D" else 4
                axes.plot(value, row + CLAIM_OFFSET, marker, color=color, markersize=size)


def _draw_measured(axes: Axes, row: int, effect: Effect, theme: Theme) -> None:
    low, high = axes.get_xlim()
    face = theme.measured if effect.resolved else theme.background
    style: Any = {"color": theme.measured, "markeredgewidth": 2, "clip_on": False}
    if effect.interval is not None and effect.interval[0] < effect.interval[1]:  # else there is no spread
        axes.plot(effect.interval, [row, row], color=theme.measured, linewidth=2.2, solid_capstyle="butt")
        for end in effect.interval:
            if low <= end <= high:
                axes.plot(end, row, "|", markersize=9, **style)
        if effect.interval[0] < low:
            axes.plot(low, row, "<", markersize=7, **style)
        if effect.interval[1] > high:
            axes.plot(high, row, ">", markersize=7, **style)
    if low <= effect.mean <= high:
        axes.plot(effect.mean, row, "o", color=theme.measured, markerfacecolor=face, markersize=7.5, zorder=3)
        return
    edge, arrow, offset, align = (high, ">", -10, "right") if effect.mean > high else (low, "<", 10, "left")
    axes.plot(edge, row, arrow, markersize=7, markerfacecolor=face, **style)
    axes.annotate(
        difference_text(effect) + (f" ({interval_text(effect)})" if effect.interval else ""),
        (edge, row),
        (offset, 0),
        textcoords="offset points",
        ha=align,
        va="center",
        fontsize=9,
        bbox={"facecolor": theme.background, "edgecolor": "none", "pad": 1},
    )


def _marker(marker: str, color: str, text: str, hollow: bool = False) -> Line2D:
    face = "none" if hollow else color
    return Line2D([], [], marker=marker, color=color, markerfacecolor=face, linestyle="none", label=text)


def axis_limits(effects: Sequence[Effect], claims: Sequence[float] = ()) -> tuple[float, float]:
    """Return the ends of the axis: it holds zero, claims, and all differences but those far outside.

    It holds no more of an interval than keeps the differences distinguishable.
    """
    intervals = [effect.interval for effect in effects if effect.interval is not None]
    half = median(high - low for low, high in intervals) / 2 if intervals else 0.0
    reach = _reach([effect.mean for effect in effects], max(half, 1.0, *map(abs, claims)))
    points = [0.0, *claims, *(copysign(min(abs(effect.mean), reach), effect.mean) for effect in effects)]
    ends = [end for effect in effects if abs(effect.mean) <= reach for end in effect.interval or ()]
    between = max(points) - min(points)
    room = max(between, min(2 * half, max(2 * between, WIDE)), 0.2)
    low = max(min([*points, *ends]), min(points) - room)
    high = min(max([*points, *ends]), max(points) + room)
    margin = 0.05 * max(high - low, 1)
    return low - margin, high + margin


def _reach(differences: list[float], least: float) -> float:
    """Return the largest size of a difference that the axis holds, `least` or more.

    Outside are those more than `OUTLIER_FACTOR` times as large as all others, unless they are the majority.
    """
    reach = least
    for smaller, size in enumerate(sorted(map(abs, differences))):
        if size > OUTLIER_FACTOR * reach and 2 * smaller >= len(differences):
            break
        reach = max(reach, size)
    return reach
