"""What a reader must know before believing the effects of a factorial, in sentences."""

from alexnet.compare.factorial.comparison import Factorial
from alexnet.compare.notes import notes_on_conditions, notes_on_starts

MODELLED = (
    "The pilot ran only some cells. Each cell's rate comes from a model fitted to all pilot runs: a parabola"
    " in the logarithm of the rate, whose slope each factor changes by the same amount in every cell."
)
LACKS_FIT = 0.05  # the highest p-value at which it is said
FEW_DEGREES = 5  # of freedom: with fewer, Student's t is wide


def notes(comparison: Factorial) -> list[str]:
    """Return all notes that apply to these runs."""
    return [
        *_notes_on_aliases(comparison),
        *_notes_on_intervals(comparison),
        *_notes_on_fit(comparison),
        *notes_on_starts(comparison),
        *_notes_on_pilot(comparison),
        *notes_on_conditions(comparison),
    ]


def _notes_on_aliases(comparison: Factorial) -> list[str]:
    lines = []
    if len(comparison.factors) > 1 and not comparison.interactions:
        lines.append(
            "Main effects only (resolution III): this fraction cannot separate them from two-factor"
            " interactions, so each difference includes those."
        )
    elif any(term.aliases for term in comparison.interactions):
        lines.append(
            "Main effects are separate from two-factor interactions, but interactions joined by = cannot be"
            " told apart: the number is their sum, with those after a minus sign subtracted. The effect of"
            " removing one factor alone cannot be estimated either."
        )
    if comparison.record.aliases:
        lines.append(f"Effects that the design cannot separate: {'; '.join(comparison.record.aliases)}.")
    return lines


def _notes_on_intervals(comparison: Factorial) -> list[str]:
    fit, confidence = comparison.top1, comparison.confidence
    if fit.deviation is None:
        return ["No intervals: there are as many effects as runs. Add replicates: study.seeds=2."]
    blocks = " (each seed has its own mean)" if fit.blocks else ""
    spread = "replicates of a cell" if fit.replicated else "runs about the model"
    lines = [
        f"Intervals are based on the spread of {spread}, {fit.deviation:.2f} points with {fit.freedom}"
        f" degrees of freedom{blocks}, which is assumed to be the same in all cells."
    ]
    if fit.freedom < FEW_DEGREES:
        lines.append(f"Intervals are wide with few degrees of freedom ({fit.freedom}): add replicates.")
    effects = len(fit.averaged)
    lines.append(
        f"{effects} effects, each with its own {confidence:.0%} interval: even if no factor had any effect,"
        f" about {effects * (1 - confidence):.2g} of them would be called resolved."
    )
    return lines


def _notes_on_fit(comparison: Factorial) -> list[str]:
    p = comparison.top1.lack_of_fit
    if p is None:
        return []
    found = (
        "Three or more factors interact" if p <= LACKS_FIT else "No interaction of three factors is resolved"
    )
    return [
        f"{found} (F-test of main effects and two-factor interactions against the means of all cells:"
        f" p = {p:.2g}). No effect here assumes that there are none."
    ]


def _notes_on_pilot(comparison: Factorial) -> list[str]:
    if not comparison.record.chosen:
        return []
    tried = {trial.arm for trial in comparison.record.trials}
    return [
        "Every cell was trained with the values that the pilot chose for it: effects compare cells at their"
        " best.",
        *([] if tried >= comparison.cells.keys() else [MODELLED]),
    ]
