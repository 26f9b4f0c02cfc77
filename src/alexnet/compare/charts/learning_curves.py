"""learning_curves.png: validation error over the epochs, each arm beside the baseline."""

import math

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from alexnet.compare.comparison import ArmResult, Comparison
from alexnet.plotting import CHART_WIDTH, Theme, legend_above, tidy, wrap_name

COLUMNS = 3
NAME_CHARACTERS, MOST_STEPS = 66, 15  # of a row of panels, in names and along its axes


def draw_learning_curves(comparison: Comparison, theme: Theme) -> Figure:
    """Draw a panel for each arm: mean top-1 error over the seeds, and a band from the lowest to the highest.

    An arm without epochs is a horizontal line.
    """
    arms = comparison.arms
    columns = min(COLUMNS, len(arms))
    rows = math.ceil(len(arms) / columns)
    figure = Figure(figsize=(CHART_WIDTH, 1.1 + (1.9 if columns > 1 else 3.0) * rows), layout="constrained")
    panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).flatten()
    for axes, arm in zip(panels, arms, strict=False):
        tidy(axes)
        _curve(axes, arm, theme.measured, 3)
        # on top, so that both are visible where they coincide
        _curve(axes, comparison.baseline, theme.text, 1.4, "--")
        axes.set_title(wrap_name(arm.name, NAME_CHARACTERS // columns), loc="left")
        axes.xaxis.set_major_locator(MaxNLocator(MOST_STEPS // columns, integer=True, min_n_ticks=1))
        axes.xaxis.set_tick_params(labelbottom=True)
    for axes in panels[len(arms) :]:
        axes.set_visible(False)
    figure.supxlabel("epoch")
    figure.supylabel("validation top-1 error (percent)")
    band = "" if len(comparison.baseline.runs) < 2 else "; band: lowest to highest seed"
    lines = panels[0].lines[:2]
    for line, label in zip(lines, (f"arm, mean{band}", wrap_name(comparison.baseline.name)), strict=True):
        line.set_label(label)
    legend_above(figure, lines)
    return figure


def _curve(axes: Axes, arm: ArmResult, color: str, width: float, style: str = "-") -> None:
    epochs, errors = arm.curve("val/top1_error")
    if not arm.has_epochs:
        axes.axhspan(errors.min(), errors.max(), color=color, alpha=0.22, linewidth=0)
        axes.axhline(errors.mean(), color=color, linewidth=width, linestyle=style)
        return
    if len(epochs):
        axes.fill_between(
            epochs, errors.min(axis=0), errors.max(axis=0), color=color, alpha=0.22, linewidth=0
        )
        mean = errors.mean(axis=0)
    else:
        mean = epochs  # nothing to draw, but a line for the legend
    marker = "o" if len(epochs) == 1 else None
    axes.plot(epochs, mean, style, color=color, linewidth=width, marker=marker, markersize=2.5 * width)
