"""What a chart shows, in words and numbers, for those who do not see it."""

from collections.abc import Callable

from alexnet.compare.charts.interactions import MOST as MOST_PANELS
from alexnet.compare.comparison import ArmResult, Comparison
from alexnet.compare.convergence import convergence
from alexnet.compare.factorial.comparison import Factorial
from alexnet.compare.factorial.tables import AVERAGED, REMOVED
from alexnet.compare.tables import difference_text, speed_text

MOST = 8  # arms or effects that are listed: the tables have all


def alt_text(chart: str, comparison: Comparison) -> str:
    """Describe a chart, by the name of its file: what it shows, and its numbers."""
    subject, found = DESCRIPTIONS[chart](comparison)
    more = f"; and {len(found) - MOST} more" if len(found) > MOST else ""
    return f"{subject}: {'; '.join(found[:MOST])}{more}."


Description = tuple[str, list[str]]


def _effects(comparison: Comparison) -> Description:
    if isinstance(comparison, Factorial):
        effects = comparison.top1
        return f"Effect of each factor on top-1 error in percentage points, {AVERAGED} and {REMOVED}", [
            f"{term.name} {difference_text(effects.averaged[term])}"
            f" and {difference_text(effects.removed[term.name])}"
            for term in comparison.mains
        ]
    return f"Top-1 error minus that of {comparison.baseline.name} in percentage points", [
        f"{arm.name} {_difference(arm)}" for arm in comparison.arms
    ]


def _pareto(comparison: Comparison) -> Description:
    assert isinstance(comparison, Factorial)
    effects = comparison.top1.averaged
    terms = sorted(effects, key=lambda term: -abs(effects[term].mean))
    return "Effects on top-1 error in percentage points, the largest first", [
        f"{term.name} {difference_text(effects[term])}" for term in terms
    ]


def _interactions(comparison: Comparison) -> Description:
    assert isinstance(comparison, Factorial)
    effects = comparison.top1.averaged
    return "The largest interactions of two factors in percentage points of top-1 error", [
        f"{term.name} {difference_text(effects[term])}" for term in comparison.interactions[:MOST_PANELS]
    ]


def _cost(comparison: Comparison) -> Description:
    error = f"top-1 error minus that of {comparison.baseline.name} in percentage points"
    return f"Training speed, and {error}", [
        f"{arm.name} {speed_text(arm)} images/s"
        + ("" if arm is comparison.baseline else f", {_difference(arm)}")
        for arm in comparison.all_variants
    ]


def _errors(comparison: Comparison) -> Description:
    return "Validation top-1 error after training", [_error(arm) for arm in comparison.all_variants]


def _convergence(comparison: Comparison) -> Description:
    return f"Epochs to a training error of {comparison.training_error:g}%", [
        f"{found.arm.name} " + ("not reached" if found.mean is None else f"{found.mean:.1f}")
        for found in convergence(comparison)
    ]


def _difference(arm: ArmResult) -> str:
    return difference_text(arm.top1) if arm.top1 else "not measured"


def _error(arm: ArmResult) -> str:
    error = arm.mean_error()
    return f"{arm.name} " + ("did not start" if error is None else f"{error:.1f}%")


DESCRIPTIONS: dict[str, Callable[[Comparison], Description]] = {
    "effects": _effects,
    "pareto": _pareto,
    "interactions": _interactions,
    "cost": _cost,
    "history": _errors,
    "learning_curves": _errors,
    "training_error": _convergence,
}
