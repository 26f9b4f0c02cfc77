"""Charts of a comparison, each drawn for a light and for a dark page."""

from collections.abc import Callable

from matplotlib.figure import Figure

from alexnet.compare.charts.cost import draw_cost
from alexnet.compare.charts.effects import draw_effects
from alexnet.compare.charts.history import draw_history, year_of
from alexnet.compare.charts.interactions import draw_interactions
from alexnet.compare.charts.learning_curves import draw_learning_curves
from alexnet.compare.charts.pareto import draw_pareto
from alexnet.compare.charts.training_error import draw_training_error
from alexnet.compare.comparison import Comparison
from alexnet.compare.convergence import convergence
from alexnet.compare.factorial.comparison import Factorial
from alexnet.plotting import Theme

Chart = Callable[[Comparison, Theme], Figure]

CHARTS: dict[str, Chart] = {
    "history": draw_history,
    "training_error": draw_training_error,
    "effects": draw_effects,
    "learning_curves": draw_learning_curves,
    "cost": draw_cost,
}


FACTORIAL_CHARTS: dict[str, Chart] = {
    "effects": draw_effects,
    "pareto": draw_pareto,
    "interactions": draw_interactions,
}


def applicable_charts(comparison: Comparison) -> dict[str, Chart]:
    """Return the charts that apply to this design and these arms."""
    if isinstance(comparison, Factorial):
        inapplicable = {"interactions": not comparison.interactions}
        return {name: draw for name, draw in FACTORIAL_CHARTS.items() if not inapplicable.get(name)}
    networks = {arm.network for arm in comparison.all_variants}
    inapplicable = {
        "history": not comparison.networks_differ or not any(map(year_of, networks)),
        "training_error": not convergence(comparison),
        "learning_curves": not any(arm.has_epochs for arm in comparison.all_variants),
    }
    return {name: draw for name, draw in CHARTS.items() if not inapplicable.get(name)}
