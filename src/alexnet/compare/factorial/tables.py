"""The effects of a factorial as tables of text."""

from alexnet.compare.effects import Effect
from alexnet.compare.factorial.comparison import Factorial
from alexnet.compare.factorial.model import FactorialFit
from alexnet.compare.tables import (
    CLAIM_HEADINGS,
    Table,
    claim_numbers,
    difference_text,
    format_number,
    interval_text,
    short_headings,
    short_row,
    significance_text,
    start_interval_text,
    start_text,
)

AVERAGED = "averaged over the others"
REMOVED = "removed from the full AlexNet"


def factors_table(comparison: Factorial) -> Table:
    """Tabulate both estimands of each factor in percentage points, and the claims."""
    interval, top5 = f"{comparison.confidence:.0%} interval", comparison.top5
    headings = ["factor", AVERAGED, interval, *CLAIM_HEADINGS, "result", REMOVED, interval, "result"]
    headings += [*([f"top-5 {AVERAGED}", interval] if top5 else []), "changes"]
    rows = []
    for term in comparison.mains:
        factor, effect = comparison.factor[term.name], comparison.top1.averaged[term]
        row = [term.name, difference_text(effect), interval_text(effect), *claim_numbers(factor.claim)]
        row += [significance_text(effect), *_removed(comparison.top1, term.name)]
        row += [difference_text(top5.averaged[term]), interval_text(top5.averaged[term])] if top5 else []
        rows.append([*row, factor.text])
    return Table(headings, rows)


def averaged_table(comparison: Factorial) -> Table:
    """Tabulate the main effects on top-1 error in 80 columns."""
    rows = []
    for term in comparison.mains:
        factor, effect = comparison.factor[term.name], comparison.top1.averaged[term]
        rows.append(short_row(term.name, factor.levels[1].start, effect, factor.claim))
    return Table(short_headings("factor", comparison.confidence), rows)


def removed_table(comparison: Factorial) -> Table:
    """Tabulate the effects where all other factors are at the baseline's level, in 80 columns."""
    rows = [[term.name, *_removed(comparison.top1, term.name)] for term in comparison.mains]
    return Table(["factor", "top-1", f"{comparison.confidence:.0%} interval", "result"], rows)


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


def _removed(fit: FactorialFit, factor: str) -> list[str]:
    effect = fit.removed[factor]
    if effect is None:
        return ["-", "-", "not estimable"]
    return [difference_text(effect), interval_text(effect), significance_text(effect)]


def _interaction_text(effect: Effect) -> str:
    """Format what an interval says of an interaction, whose sign is neither better nor worse."""
    if not effect.resolved:
        return significance_text(effect)
    return "more than additive" if effect.mean > 0 else "less than additive"
