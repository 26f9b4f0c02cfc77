"""The comparison in three pictures, each drawn for a light and for a dark page."""

from collections.abc import Callable

from matplotlib.figure import Figure

from alexnet.compare.charts.cost import draw_cost
from alexnet.compare.charts.effects import draw_effects
from alexnet.compare.charts.learning_curves import draw_learning_curves
from alexnet.compare.charts.theme import Theme
from alexnet.compare.comparison import Comparison

CHARTS: dict[str, Callable[[Comparison, Theme], Figure]] = {
    "effects": draw_effects,
    "learning_curves": draw_learning_curves,
    "cost": draw_cost,
}
