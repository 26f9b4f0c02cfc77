"""interactions.png: the largest interactions of a factorial, as the means of four cells each."""

import math

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from alexnet.compare.comparison import Comparison
from alexnet.compare.factorial.comparison import Factorial
from alexnet.compare.factorial.terms import Term
from alexnet.compare.tables import difference_text, interval_text
from alexnet.plotting import CHART_WIDTH, Theme, tidy, wrap_name

COLUMNS, MOST = 2, 6  # panels


def draw_interactions(comparison: Comparison, theme: Theme) -> Figure:
    """Draw a panel for each of the largest interactions: mean top-1 errors over both levels of two factors.

    The levels of the first factor stand from left to right, those of the second are two lines.
    """
    assert isinstance(comparison, Factorial)
    terms = comparison.interactions[:MOST]
    columns = min(COLUMNS, len(terms))
    rows = math.ceil(len(terms) / columns)
    figure = Figure(figsize=(CHART_WIDTH, 0.4 + 2.9 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, sharey=True, squeeze=False).flatten()
    for axes, term in zip(panels, terms, strict=False):
        _panel(axes, comparison, term, theme)
    for axes in panels[len(terms) :]:
        axes.set_visible(False)
    figure.supylabel("mean validation top-1 error (percent)")
    return figure


def _panel(axes: Axes, comparison: Factorial, term: Term, theme: Theme) -> None:
    tidy(axes)
    first, second = term.factors
    effect = comparison.top1.averaged[term]
    styles = ((False, theme.baseline, "--", "o"), (True, theme.measured, "-", "D"))
    for changed, color, line, marker in styles:
        means = [comparison.cell_mean({first: level, second: changed}) for level in (False, True)]
        known = [(x, mean) for x, mean in enumerate(means) if mean is not None]
        label = wrap_name(second, 28) if changed else "baseline"
        axes.plot(*zip(*known, strict=True), line, marker=marker, color=color, linewidth=2, label=label)
    axes.set_xticks([0, 1], ["baseline", wrap_name(first, 16)])
    axes.set_xlim(-0.35, 1.35)
    interval = f" ({interval_text(effect)})" if effect.interval else ""
    axes.set_title(f"{wrap_name(term.name, 34)}\n{difference_text(effect)}{interval}", loc="left")
    axes.yaxis.set_tick_params(labelleft=True)
    # the same ticks whatever the height: the layout, once found, would not fit longer numbers
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    axes.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.14))
