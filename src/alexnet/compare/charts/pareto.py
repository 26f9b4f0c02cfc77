"""pareto.png: main effects and interactions of a factorial by their size."""

from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from alexnet.compare.comparison import Comparison
from alexnet.compare.effects import Effect
from alexnet.compare.factorial.comparison import Factorial
from alexnet.compare.factorial.terms import Term
from alexnet.compare.tables import difference_text
from alexnet.plotting import CHART_WIDTH, Theme, legend_above, tidy, wrap_name

MOST_ROWS = 24  # the smallest effects beyond these are left to the table
BAR = 0.62  # rows
DASHES = (0, (4, 2))


def draw_pareto(comparison: Comparison, theme: Theme) -> Figure:
    """Draw a bar for the size of each effect, the largest on top, and a mark at half of its interval's width.

    An effect is resolved where its bar reaches beyond the mark. Its number, at the right, has its sign.
    """
    assert isinstance(comparison, Factorial)
    averaged = comparison.top1.averaged
    terms = sorted(averaged, key=lambda term: -abs(averaged[term].mean))[:MOST_ROWS]
    names = [wrap_name(term.name) for term in terms]
    lines = sum(name.count("\n") + 1 for name in names)
    figure = Figure(figsize=(CHART_WIDTH, 1.5 + 0.12 * len(terms) + 0.17 * lines), layout="constrained")
    axes = figure.subplots()
    tidy(axes)
    axes.grid(visible=False, axis="y")
    for row, term in enumerate(terms):
        effect, color = averaged[term], _color(term, theme)
        face = color if effect.resolved else theme.background
        axes.barh(row, abs(effect.mean), BAR, color=face, edgecolor=color, linewidth=1.4)
        if effect.interval is not None:
            half = (effect.interval[1] - effect.interval[0]) / 2
            axes.plot([half] * 2, [row - 0.5, row + 0.5], color=theme.text, linewidth=1.3, linestyle=DASHES)
        axes.annotate(
            difference_text(effect),
            (1, row),
            (8, 0),
            xycoords=("axes fraction", "data"),
            textcoords="offset points",
            va="center_baseline",
        )
    axes.set_yticks(range(len(terms)), names)
    axes.set_ylim(len(terms) - 0.4, -0.6)
    axes.set_xlim(left=0)
    axes.set_xlabel("size of the effect on top-1 error (percentage points)")
    handles = _handles([averaged[term] for term in terms], terms, comparison.confidence, theme)
    legend_above(figure, handles)
    return figure


def _handles(effects: list[Effect], terms: list[Term], confidence: float, theme: Theme) -> list[Artist]:
    """Return the legend's entries of what is drawn."""
    kinds = {term.is_main: "main effect" if term.is_main else "interaction" for term in terms}
    handles: list[Artist] = [
        Patch(color=theme.measured if main else theme.paper, label=text) for main, text in kinds.items()
    ]
    if not all(effect.resolved for effect in effects):
        handles.append(Patch(facecolor="none", edgecolor=theme.text, label="not resolved"))
    if any(effect.interval for effect in effects):
        label = f"half of the {confidence:.0%} interval"
        handles.append(Line2D([], [], color=theme.text, linewidth=1.3, linestyle=DASHES, label=label))
    return handles


def _color(term: Term, theme: Theme) -> str:
    return theme.measured if term.is_main else theme.paper
