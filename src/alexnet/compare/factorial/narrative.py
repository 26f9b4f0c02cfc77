"""Headline and method of a factorial, in sentences."""

from collections.abc import Iterable

from alexnet.compare.effects import Effect
from alexnet.compare.factorial.comparison import Factorial
from alexnet.compare.factorial.tables import AVERAGED, REMOVED
from alexnet.compare.narrative import SHARED_METHOD, conditions, setting
from alexnet.compare.tables import bound_text, difference_text, interval_text
from alexnet.config.study import Design


def headline(comparison: Factorial) -> list[str]:
    """Summarize the result in a few sentences."""
    fit, mains = comparison.top1, comparison.mains
    removed = {term: fit.removed[term.name] for term in mains}
    counts = f"{_resolved(fit.averaged[term] for term in mains)} of {len(mains)} {AVERAGED}"
    if any(removed.values()):
        counts += f", {_resolved(removed.values())} of {len(mains)} {REMOVED}"
    sentences = [
        f"{_design(comparison)}, on {setting(comparison)}.",
        f"Resolved differences in top-1 error: {counts}.",
    ]
    for term in mains:
        effects = [f"{AVERAGED} {_size(fit.averaged[term])}"]
        effects += [f"{REMOVED} {_size(effect)}"] if (effect := removed[term]) else []
        sentences.append(f"{term.name} ({comparison.factor[term.name].text}): {'; '.join(effects)}.")
    if comparison.interactions:
        pairs = [term for term in comparison.interactions if fit.averaged[term].resolved]
        names = f": {', '.join(term.name for term in pairs)}" if pairs else ""
        sentences.append(f"Resolved interactions: {len(pairs)} of {len(comparison.interactions)}{names}.")
    return sentences


def method(comparison: Factorial) -> list[str]:
    """Explain how the numbers were made, and what they leave out."""
    by_cells = (
        "With replicates, effects are differences of cell means, with equal weight for every cell, and"
        " nothing is assumed about interactions. Runs that did not start are left out."
    )
    by_model = (
        "Every run contributes to every effect: ordinary least squares on factors coded -1 (the baseline's"
        " level) and +1 (changed), with the two-factor interactions that the design can separate;"
        " interactions of more factors are assumed to be zero. Runs that did not start are left out."
    )
    return [
        by_cells if comparison.top1.replicated else by_model,
        f'"{_sentence(AVERAGED)}" is the error with the factor changed minus the error without, in percentage'
        " points, averaged equally over all settings of the other factors. Above zero, the change raises the"
        f' error. "{_sentence(REMOVED)}" is that difference with every other factor at the baseline\'s level;'
        " it is what the paper's claims are about, and is less precise.",
        "An interaction is half the change in one factor's effect when the other factor is changed too: above"
        " zero, both changes together raise the error by more than the sum of each alone.",
        f"Intervals are two-sided {comparison.confidence:.0%} Student's t intervals. They cover the spread"
        " between runs on these validation images, not that between sets of images.",
        *SHARED_METHOD,
        *conditions(comparison),
    ]


def _resolved(effects: Iterable[Effect | None]) -> int:
    return sum(effect is not None and effect.resolved for effect in effects)


def _size(effect: Effect) -> str:
    """Format an effect with its interval, or the bound of one that is not resolved."""
    if effect.interval is None:
        return f"{difference_text(effect)} points, without an interval"
    if effect.resolved:
        return f"{difference_text(effect)} points ({interval_text(effect)})"
    return f"not resolved, {bound_text(effect)} ({interval_text(effect)})"


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:]


def _design(comparison: Factorial) -> str:
    record, factors = comparison.record, len(comparison.factors)
    runs = sum(len(arm.runs) for arm in comparison.all_variants)
    if record.design is Design.factorial:
        return f"A full factorial of {factors} factors: {len(record.arms)} cells, {runs} runs"
    resolution = f" of resolution {record.resolution}" if record.resolution else ""
    return (
        f"A fraction{resolution} of {factors} factors: {len(record.arms)} of {2**factors} cells, {runs} runs"
    )
