"""training_error.png: how the error on the training images falls, as in the paper's figure 1."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from alexnet.compare.comparison import ArmResult, Comparison
from alexnet.compare.convergence import convergence, epochs_by_error
from alexnet.plotting import CHART_WIDTH, Theme, legend_above, tidy, wrap_name
from alexnet.studies.start import chance_error

LEVELS = 131  # of the error, between chance and the lowest
STYLES = ("-", "--", ":", "-.")  # the baseline is solid, the first arm dashed, as in the paper


def draw_training_error(comparison: Comparison, theme: Theme) -> Figure:
    """Draw, for each error on the training images, the epochs to it: mean over the runs, and their range.

    A curve ends at the lowest error that all runs of its arm reach; runs below it are not drawn.
    """
    figure = Figure(figsize=(CHART_WIDTH, 4.4), layout="constrained")
    axes = figure.subplots()
    tidy(axes)
    colors = (theme.text, theme.measured, theme.paper, theme.log)
    for index, found in enumerate(convergence(comparison)):
        color, style = colors[index % len(colors)], STYLES[index % len(STYLES)]
        _curve(axes, found.arm, comparison.training_error, color, style)
        if found.mean is not None and len(found.epochs) == len(found.arm.runs):
            axes.plot(found.mean, comparison.training_error, "o", color=color, markersize=5, clip_on=False)
    axes.axhline(comparison.training_error, color=theme.text, linewidth=0.8, linestyle=(0, (1, 2)))
    axes.set(xlabel="epochs", ylabel="error on the training images (percent)", ylim=(0, None), xlim=(0, None))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    if axes.lines[1:]:
        legend_above(figure, axes.get_legend_handles_labels()[0])
    return figure


def _curve(axes: Axes, arm: ArmResult, lowest: float, color: str, style: str) -> None:
    classes = arm.runs[0].classes
    levels = np.linspace(100.0 if classes is None else chance_error(classes), lowest, LEVELS)
    epochs = epochs_by_error(arm, levels)
    reached = ~np.isnan(epochs).any(axis=0)
    levels, epochs = levels[reached], epochs[:, reached]
    name = f"{wrap_name(arm.name)}  n={len(arm.runs)}"
    axes.fill_betweenx(levels, epochs.min(axis=0), epochs.max(axis=0), color=color, alpha=0.2, linewidth=0)
    axes.plot(epochs.mean(axis=0), levels, style, color=color, linewidth=2, label=name)
