"""history.png: different networks in the order in which they were published."""

from collections import Counter
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from alexnet.compare.comparison import ArmResult, Comparison
from alexnet.compare.effects import half_width
from alexnet.compare.model_diffs import HAND_MADE, historical_order, year_of
from alexnet.compare.tables import speed_text
from alexnet.plotting import Theme, tidy, wrap_name

BESIDE = 0.16  # columns; the seeds' dots stand to the left of their mean
COUNTS = ((1e9, "billion"), (1e6, "million"), (1e3, "thousand"))
AT_THE_END: Any = {"textcoords": "offset points", "ha": "right", "fontsize": 9}


def draw_history(comparison: Comparison, theme: Theme) -> Figure:
    """A column for each arm: its seeds' validation top-1 errors, their mean and its interval."""
    arms = sorted(comparison.all_variants, key=lambda arm: historical_order(arm.network))
    figure = Figure(figsize=(max(7.5, 1.6 + 1.35 * len(arms)), 5.2), layout="constrained")
    axes = figure.subplots()
    tidy(axes)
    axes.grid(visible=False, axis="x")
    for place, arm in enumerate(arms):
        _column(axes, place, arm, comparison.confidence, theme)
    highest = max(run.top1_error for arm in arms for run in arm.runs)
    if classes := arms[0].runs[0].classes:
        guessing = 100 * (1 - 1 / classes)
        highest = max(highest, guessing)
        axes.axhline(guessing, color=theme.baseline, linestyle="--", linewidth=1.2)
        axes.annotate("guessing", (1, guessing), (-4, 4), xycoords=("axes fraction", "data"), **AT_THE_END)
    axes.set_ylim(0, 1.06 * highest)
    axes.set_xlim(-0.6, len(arms) - 0.4)
    shared = Counter(arm.network for arm in arms)
    headings = [_heading(arm, shared[arm.network] > 1) for arm in arms]
    axes.set_xticks(range(len(arms)), headings)
    below = 13 * max(heading.count("\n") + 1 for heading in headings) + 10  # points
    for place, arm in enumerate(arms):
        at: Any = {"xycoords": ("data", "axes fraction"), "textcoords": "offset points"}
        axes.annotate(
            _small_print(arm),
            (place, 0),
            (0, -below),
            **at,
            ha="center",
            va="top",
            fontsize=8,
            color=theme.baseline,
        )
    axes.set_ylabel("validation top-1 error (percent)")
    _divide(axes, sum(arm.network in HAND_MADE for arm in arms), len(arms), theme)
    shown = [
        Line2D([], [], marker="D", color=theme.text, label=f"mean, {comparison.confidence:.0%} interval"),
        Line2D([], [], marker="o", color=theme.text, markersize=4, linestyle="none", label="a seed"),
    ]
    figure.legend(handles=shown, loc="outside upper center", ncols=len(shown), frameon=False, fontsize=9)
    return figure


def _column(axes: Axes, place: int, arm: ArmResult, confidence: float, theme: Theme) -> None:
    errors = np.array([run.top1_error for run in arm.runs])
    color = theme.paper if arm.network in HAND_MADE else theme.measured
    mean = float(errors.mean())
    if np.ptp(errors):  # without any spread there is no interval, see `paired_effect`
        half = half_width(errors, confidence)
        axes.errorbar(place, mean, half, color=color, linewidth=2, capsize=4)
    dots = [place - BESIDE] * len(errors)
    axes.plot(dots, errors, "o", color=color, alpha=0.55, markersize=4, markeredgewidth=0)
    axes.plot(place, mean, "D", color=color, markersize=7)
    axes.annotate(f"{mean:.1f}", (place, mean), (9, 0), textcoords="offset points", va="center", fontsize=10)


def _heading(arm: ArmResult, shared: bool) -> str:
    year = year_of(arm.network)
    return "\n".join([wrap_name(arm.name if shared else arm.network, 16), str(year or "year not known")])


def _small_print(arm: ArmResult) -> str:
    """Parameters, and images a second, where the runs say so."""
    parameters = arm.mean(lambda run: run.parameters)
    lines = [] if parameters is None else [_count(parameters), "parameters"]
    if arm.mean(lambda run: run.images_per_second) is not None:
        lines.append(f"{speed_text(arm)} images/s")
    return "\n".join(lines)


def _count(number: float) -> str:
    """62.4 million"""
    size, word = next(((size, word) for size, word in COUNTS if number >= size), (1, ""))
    return f"{number / size:.3g} {word}".strip()


def _divide(axes: Axes, hand_made: int, arms: int, theme: Theme) -> None:
    """A line between features that are made by hand and those that are learned, where there are both."""
    if not 0 < hand_made < arms:
        return
    axes.axvline(hand_made - 0.5, color=theme.faint, linewidth=1)
    for text, shift, side in (("made by hand", -6, "right"), ("learned", 6, "left")):
        at: Any = {"xycoords": ("data", "axes fraction"), "textcoords": "offset points"}
        axes.annotate(
            text, (hand_made - 0.5, 0.02), (shift, 0), **at, ha=side, fontsize=9, color=theme.baseline
        )
