"""history.png: different networks in the order in which they were published."""

from collections import Counter
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from alexnet.compare.comparison import ArmResult, Comparison
from alexnet.compare.effects import half_width
from alexnet.compare.tables import speed_text
from alexnet.plotting import CHART_WIDTH, Theme, legend_above, tidy, wrap_name
from alexnet.studies.start import chance_error

ROW = 0.55  # inches
SEED_OFFSET = 0.22  # rows; the seeds' dots stand below their mean
COUNTS = ((1e9, "billion"), (1e6, "million"), (1e3, "thousand"))

# the first words of a model's name -> the year, in the order of publication
YEARS = {
    "lenet": 1998,  # LeCun, Bottou, Bengio & Haffner, Proceedings of the IEEE
    "alexnet": 2012,  # Krizhevsky, Sutskever & Hinton
    "vgg": 2014,  # Simonyan & Zisserman, 1409.1556
    "googlenet": 2014,  # Szegedy et al., 1409.4842
    "inception_v3": 2015,  # Szegedy et al., 1512.00567
    "resnet": 2015,  # He et al., 1512.03385
    "squeezenet": 2016,  # Iandola et al., 1602.07360
    "wide_resnet": 2016,  # Zagoruyko & Komodakis, 1605.07146
    "densenet": 2016,  # Huang et al., 1608.06993
    "resnext": 2016,  # Xie et al., 1611.05431
    "mobilenet_v2": 2018,  # Sandler et al., 1801.04381
    "shufflenet_v2": 2018,  # Ma et al., 1807.11164
    "mnasnet": 2018,  # Tan et al., 1807.11626
    "mobilenet_v3": 2019,  # Howard et al., 1905.02244
    "efficientnet": 2019,  # Tan & Le, 1905.11946
    "regnet": 2020,  # Radosavovic et al., 2003.13678
    "vit": 2020,  # Dosovitskiy et al., 2010.11929
    "swin": 2021,  # Liu et al., 2103.14030
    "efficientnet_v2": 2021,  # Tan & Le, 2104.00298
    "swin_v2": 2021,  # Liu et al., 2111.09883
    "convnext": 2022,  # Liu et al., 2201.03545
    "maxvit": 2022,  # Tu et al., 2204.01697
}
# features made by hand, by the name of a run of classical.py
HAND_MADE = {
    "color": 1991,  # Swain & Ballard, International Journal of Computer Vision
    "hog": 2005,  # Dalal & Triggs, CVPR
    "hog_and_color": 2005,
}


def draw_history(comparison: Comparison, theme: Theme) -> Figure:
    """Draw a row for each arm: its seeds' validation top-1 errors, their mean and its interval."""
    arms = sorted(comparison.all_variants, key=lambda arm: historical_order(arm.network))
    figure = Figure(figsize=(CHART_WIDTH, 1.4 + ROW * len(arms)), layout="constrained")
    axes = figure.subplots()
    tidy(axes)
    axes.grid(visible=False, axis="y")
    for row, arm in enumerate(arms):
        _row(axes, row, arm, comparison.confidence, theme)
    highest = max(run.top1_error for arm in arms for run in arm.started or arm.runs)
    if classes := arms[0].runs[0].classes:
        chance = chance_error(classes)
        highest = max(highest, chance)
        axes.axvline(chance, color=theme.baseline, linestyle="--", linewidth=1.2)
        above: Any = {"transform": axes.get_xaxis_transform(), "ha": "center", "va": "bottom"}
        axes.text(chance, 1, "chance", **above)
    axes.set_xlim(0, 1.06 * highest)
    axes.set_ylim(len(arms) - 0.4, -0.6)
    shared = Counter(arm.network for arm in arms)
    axes.set_yticks(range(len(arms)), [_heading(arm, shared[arm.network] > 1) for arm in arms])
    right = axes.secondary_yaxis("right")
    right.set_yticks(range(len(arms)), [_footnote(arm) for arm in arms], color=theme.baseline)
    right.tick_params(length=0)
    right.spines["right"].set_visible(False)
    axes.set_xlabel("validation top-1 error (percent)")
    _divide(axes, sum(arm.network in HAND_MADE for arm in arms), len(arms), theme)
    handles = [
        Line2D([], [], marker="D", color=theme.text, label=f"mean, {comparison.confidence:.0%} interval"),
        Line2D([], [], marker="o", color=theme.text, markersize=4, linestyle="none", label="a seed"),
    ]
    legend_above(figure, handles)
    return figure


def _row(axes: Axes, row: int, arm: ArmResult, confidence: float, theme: Theme) -> None:
    errors = np.array([run.top1_error for run in arm.started or arm.runs])
    color = theme.paper if arm.network in HAND_MADE else theme.measured
    mean = float(errors.mean())
    if np.ptp(errors):  # without any spread there is no interval, see `paired_effect`
        half = half_width(errors, confidence)
        axes.errorbar(mean, row, xerr=half, color=color, linewidth=2, capsize=4)
    dots = [row + SEED_OFFSET] * len(errors)
    axes.plot(errors, dots, "o", color=color, alpha=0.55, markersize=4, markeredgewidth=0)
    axes.plot(mean, row, "D", color=color, markersize=7)
    axes.annotate(f"{mean:.1f}", (mean, row), (0, 7), textcoords="offset points", ha="center")


def _heading(arm: ArmResult, shared: bool) -> str:
    return f"{wrap_name(arm.name if shared else arm.network)}\n{year_of(arm.network) or 'year not known'}"


def _footnote(arm: ArmResult) -> str:
    """Format the number of parameters and the images a second, as far as the runs have them."""
    parameters = arm.mean(lambda run: run.parameters)
    lines = [] if parameters is None else [f"{_count(parameters)} parameters"]
    if arm.mean(lambda run: run.images_per_second) is not None:
        lines.append(f"{speed_text(arm)} images/s")
    return "\n".join(lines)


def _count(number: float) -> str:
    """Format a number of parameters: 62.4 million."""
    size, word = next(((size, word) for size, word in COUNTS if number >= size), (1, ""))
    return f"{number / size:.3g} {word}".strip()


def _divide(axes: Axes, hand_made: int, arms: int, theme: Theme) -> None:
    """Draw a line between features made by hand and learned ones, where there are both."""
    if not 0 < hand_made < arms:
        return
    axes.axhline(hand_made - 0.5, color=theme.faint, linewidth=1)
    for text, shift, side in (("made by hand", 4, "bottom"), ("learned", -4, "top")):
        placement: Any = {"xycoords": ("axes fraction", "data"), "textcoords": "offset points"}
        axes.annotate(text, (0.01, hand_made - 0.5), (0, shift), **placement, va=side, color=theme.baseline)


def year_of(name: str) -> int | None:
    """Return the year of a network, or of hand-made features; None where it is not known."""
    if name in HAND_MADE:
        return HAND_MADE[name]
    family = _family(name)
    return None if family is None else YEARS[family]


def historical_order(name: str) -> tuple[int, int]:
    """Return a key to sort by: hand-made features, networks as they were published, those not known."""
    if name in HAND_MADE:
        return (0, list(HAND_MADE).index(name))
    family = _family(name)
    return (2, 0) if family is None else (1, list(YEARS).index(family))


def _family(name: str) -> str | None:
    """Return the longest known name that this one begins with: efficientnet_v2_s is no efficientnet."""
    known = [family for family in YEARS if name.startswith(family)]
    return max(known, key=len, default=None)
