"""The effects of a factorial as tables of text."""

from alexnet.compare.effects import Effect
from alexnet.compare.factorial.comparison import Factorial
from alexnet.compare.tables import (
    CLAIM_HEADINGS,
    SHORT_CLAIM_HEADINGS,
    Table,
    claim_numbers,
    difference_text,
    format_number,
    interval_text,
    significance_text,
    start_interval_text,
    start_text,
)

AVERAGED = "averaged over the others"
REMOVED = "removed from the full AlexNet"


def factors_table(comparison: Factorial) -> Table:
    """Tabulate both estimands of each factor in percentage points, and the claims, made of the second."""
    interval, top5 = f"{comparison.confidence:.0%} interval", comparison.top5
    headings = ["factor", AVERAGED, interval, "result", REMOVED, interval, *CLAIM_HEADINGS, "result"]
    headings += [*([f"top-5 {AVERAGED}", interval] if top5 else []), "changes"]
    rows = []
    for term in comparison.mains:
        factor, effect = comparison.factor[term.name], comparison.top1.averaged[term]
        row = [term.name, difference_text(effect), interval_text(effect), significance_text(effect)]
        row += _removed(comparison, term.name)
        row += [difference_text(top5.averaged[term]), interval_text(top5.averaged[term])] if top5 else []
        rows.append([*row, factor.text])
    return Table(headings, rows)


def averaged_table(comparison: Factorial) -> Table:
    """Tabulate the main effects on top-1 error in 80 columns."""
    rows = []
    for term in comparison.mains:
        factor, effect = comparison.factor[term.name], comparison.top1.averaged[term]
        row = [term.name, start_text(factor.levels[1].start), difference_text(effect)]
        rows.append([*row, interval_text(effect), significance_text(effect)])
    return Table(["factor", "started", "top-1", f"{comparison.confidence:.0%} interval", "result"], rows)


def removed_table(comparison: Factorial) -> Table:
    """Tabulate the effects where all others are at the baseline's level, and the claims, in 80 columns."""
    rows = [[term.name, *_removed(comparison, term.name)] for term in comparison.mains]
    headings = ["factor", "top-1", f"{comparison.confidence:.0%} interval", *SHORT_CLAIM_HEADINGS, "result"]
    return Table(headings, rows)


def interactions_table(comparison: Factorial) -> Table | None:
    """Tabulate the interactions of two factors, the largest first; None where none is estimated."""
    if not comparison.interactions:
        return None
    rows = []
    for term in comparison.interactions:
        effect = comparison.top1.averaged[term]
        rows.append([term.name, difference_text(effect), interval_text(effect), _interaction_text(effect)])
    return Table(["interaction", "top-1", f"{comparison.confidence:.0%} interval", "result"], rows)


def levels_table(comparison: Factorial) -> Table:
    """Tabulate start rate, error and speed at both levels of each factor."""
    headings = [
        "factor",
        "level",
        "started",
        f"{comparison.confidence:.0%} start rate",
        "top-1 error",
        "images/s",
    ]
    rows = []
    for factor in comparison.factors:
        for level in factor.levels:
            row = [factor.name, "changed" if level.changed else "baseline", start_text(level.start)]
            row += [start_interval_text(level.start), format_number(level.top1_error, ".2f", "%")]
            rows.append([*row, format_number(level.images_per_second, ",.0f")])
    return Table(headings, rows)


def _removed(comparison: Factorial, factor: str) -> list[str]:
    effect, claims = comparison.top1.removed[factor], claim_numbers(comparison.factor[factor].claim)
    if effect is None:
        return ["-", "-", *claims, "not estimable"]
    return [difference_text(effect), interval_text(effect), *claims, significance_text(effect)]


def _interaction_text(effect: Effect) -> str:
    """Format what an interval says of an interaction, whose sign is neither better nor worse."""
    if not effect.resolved:
        return significance_text(effect)
    return "more than additive" if effect.mean > 0 else "less than additive"
