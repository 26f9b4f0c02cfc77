"""effects.png: the difference of each arm or factor with its interval, and what was claimed."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import copysign
from statistics import median
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from alexnet.compare.comparison import ArmResult, Comparison
from alexnet.compare.effects import Effect
from alexnet.compare.factorial.comparison import Factorial
from alexnet.compare.factorial.tables import AVERAGED, REMOVED
from alexnet.compare.tables import difference_text, interval_text
from alexnet.config.study import Design
from alexnet.plotting import CHART_WIDTH, Theme, legend_above, shorten, tidy, wrap_name

MOST_STEPS = 4  # along an axis: more numbers would touch each other
REMOVED_OFFSET, CLAIM_OFFSET = 0.2, 0.26  # rows; claims stand under what was measured
WIDE = 10.0  # percentage points: an axis has no more room than this for intervals alone
OUTLIER_FACTOR = 4  # times all others: an arm further out would press them together


@dataclass(frozen=True)
class _Row:
    """What a row shows of one error: what was measured, and what the paper and its run log say.

    `removed` is the second estimand of a factorial, the effect of the factor on the baseline alone.
    """

    measured: Effect | None
    paper: float | None
    log: float | None
    removed: Effect | None = None


def draw_effects(comparison: Comparison, theme: Theme) -> Figure:
    """Draw a row for each arm or factor, the largest difference on top, with a column for each error.

    Where all arms have the year of a publication, they are in its order; a cumulative study's are connected.
    A difference that is many times the others lies outside of the axes: an arrow and its number show it.
    """
    if isinstance(comparison, Factorial):
        labels, top1, top5 = _of_factors(comparison)
        height, what = 0.7, "with the change minus without it"
    else:
        labels, top1, top5 = _of_arms(comparison)
        height, what = 0.55, f"arm minus {shorten(comparison.baseline.name)}"
    errors = {"top-1 error": top1}
    if any(row.measured for row in top5):
        errors["top-5 error"] = top5
    figure = Figure(figsize=(CHART_WIDTH, 1.9 + height * len(labels)), layout="constrained")
    columns = figure.subplots(1, len(errors), sharey=True, squeeze=False)[0]
    connected = comparison.record is not None and comparison.record.design is Design.cumulative
    for axes, (title, rows) in zip(columns, errors.items(), strict=True):
        _column(axes, rows, theme)
        axes.set_title(title, loc="left")
        if connected:
            points = [(row, one.measured.mean) for row, one in enumerate(rows) if one.measured]
            axes.plot(
                [mean for _, mean in points], [row for row, _ in points], color=theme.measured, linewidth=1
            )
    columns[0].set_yticks(range(len(labels)), labels)
    columns[0].set_ylim(len(labels) - 0.4, -0.6)
    for axes in columns:
        axes.tick_params(axis="y", length=0, pad=14)
        axes.xaxis.set_major_locator(MaxNLocator(MOST_STEPS, steps=[1, 2, 2.5, 5, 10]))
    figure.supxlabel(f"difference in error, {what} (percentage points)")
    drawn = [row for rows in errors.values() for row in rows]
    legend_above(figure, _handles(drawn, comparison.confidence, theme))
    return figure


def _of_arms(comparison: Comparison) -> tuple[list[str], list[_Row], list[_Row]]:
    """Return the labels of the arms, and the rows of both errors."""
    arms = by_year(comparison)
    return (
        [_label(arm) for arm in arms],
        [_Row(arm.top1, arm.claim.top1, arm.claim.log_top1) for arm in arms],
        [_Row(arm.top5, arm.claim.top5, arm.claim.log_top5) for arm in arms],
    )


def _of_factors(comparison: Factorial) -> tuple[list[str], list[_Row], list[_Row]]:
    """Return the labels of a factorial's factors, and the rows of both errors."""
    top1, top5 = comparison.top1, comparison.top5
    claims = [(term, comparison.factor[term.name].claim) for term in comparison.mains]
    return (
        [wrap_name(term.name) for term in comparison.mains],
        [
            _Row(top1.averaged[term], claim.top1, claim.log_top1, top1.removed[term.name])
            for term, claim in claims
        ],
        [
            _Row(top5.averaged[term], claim.top5, claim.log_top5, top5.removed[term.name])
            if top5
            else _Row(None, None, None)
            for term, claim in claims
        ],
    )


def _handles(rows: list[_Row], confidence: float, theme: Theme) -> list[Line2D]:
    """Return the legend's entries of what is drawn."""
    interval = f"{confidence:.0%} interval"
    if any(row.removed for row in rows):
        handles = [
            _marker("o", theme.measured, f"{AVERAGED}, {interval}"),
            _marker("o", theme.baseline, REMOVED, size=5),
        ]
    else:
        handles = [_marker("o", theme.measured, f"measured, {interval}")]
    handles.append(_marker("o", theme.measured, "not resolved or no interval", hollow=True))
    if any(row.paper is not None for row in rows):
        handles.append(_marker("D", theme.paper, "paper"))
    if any(row.log is not None for row in rows):
        handles.append(_marker("s", theme.log, "2012 run log"))
    return handles


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
    year = f"{arm.claim.year}, " if arm.claim.year else ""
    return f"{wrap_name(arm.name)}\n{year}n={len(arm.started)}"


def _column(axes: Axes, rows: list[_Row], theme: Theme) -> None:
    tidy(axes)
    axes.grid(visible=False, axis="y")
    axes.axvline(0, color=theme.text, linewidth=1)
    measured = [effect for row in rows for effect in (row.measured, row.removed) if effect is not None]
    low, high = axis_limits(
        measured, [value for row in rows for value in (row.paper, row.log) if value is not None]
    )
    axes.set_xlim(low, high)
    for place, row in enumerate(rows):
        above = REMOVED_OFFSET if row.removed else 0.0
        if row.measured is not None:
            _draw_measured(axes, place - above, row.measured, theme, theme.measured, size=7.5)
        else:
            axes.annotate("not measured", (0, place), (6, 0), textcoords="offset points", va="center")
        if row.removed is not None:
            _draw_measured(axes, place, row.removed, theme, theme.baseline, size=5)
        for marker, value, color in (("D", row.paper, theme.paper), ("s", row.log, theme.log)):
            if value is not None:
                size = 6.5 if marker == "D" else 4
                axes.plot(value, place + CLAIM_OFFSET, marker, color=color, markersize=size)


def _draw_measured(axes: Axes, row: float, effect: Effect, theme: Theme, color: str, size: float) -> None:
    """Draw a difference as a dot of `size` points, with its interval; hollow where it is not resolved."""
    low, high = axes.get_xlim()
    face = color if effect.resolved else theme.background
    style: Any = {"color": color, "markeredgewidth": 2 * size / 7.5, "clip_on": False}
    if effect.interval is not None and effect.interval[0] < effect.interval[1]:  # else there is no spread
        width = 2.2 * size / 7.5
        axes.plot(effect.interval, [row, row], color=color, linewidth=width, solid_capstyle="butt")
        for end in effect.interval:
            if low <= end <= high:
                axes.plot(end, row, "|", markersize=1.2 * size, **style)
        if effect.interval[0] < low:
            axes.plot(low, row, "<", markersize=7, **style)
        if effect.interval[1] > high:
            axes.plot(high, row, ">", markersize=7, **style)
    if low <= effect.mean <= high:
        axes.plot(effect.mean, row, "o", color=color, markerfacecolor=face, markersize=size, zorder=3)
        return
    edge, arrow, offset, align = (high, ">", -10, "right") if effect.mean > high else (low, "<", 10, "left")
    axes.plot(edge, row, arrow, markersize=7, markerfacecolor=face, **style)
    axes.annotate(
        difference_text(effect) + (f"\n({interval_text(effect)})" if effect.interval else ""),
        (edge, row),
        (offset, 0),
        textcoords="offset points",
        ha=align,
        va="center",
        bbox={"facecolor": theme.background, "edgecolor": "none", "pad": 1},
    )


def _marker(marker: str, color: str, text: str, hollow: bool = False, size: float = 6) -> Line2D:
    face = "none" if hollow else color
    style: Any = {"marker": marker, "markersize": size, "markerfacecolor": face, "linestyle": "none"}
    return Line2D([], [], color=color, label=text, **style)


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
