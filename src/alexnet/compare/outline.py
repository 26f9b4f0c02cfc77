"""What a report says, whatever its form: headline, tables, notes and method of a comparison."""

from dataclasses import dataclass

from alexnet.compare import narrative, notes
from alexnet.compare.comparison import Comparison
from alexnet.compare.factorial import narrative as factorial_narrative
from alexnet.compare.factorial import notes as factorial_notes
from alexnet.compare.factorial.comparison import Factorial
from alexnet.compare.factorial.tables import (
    AVERAGED,
    REMOVED,
    averaged_table,
    factors_table,
    interactions_table,
    levels_table,
    removed_table,
)
from alexnet.compare.findings import claims_table
from alexnet.compare.how_many import how_many_section
from alexnet.compare.one_at_a_time import OneAtATime
from alexnet.compare.pilot import pilot_table
from alexnet.compare.ranking import ranking_section
from alexnet.compare.tables import (
    Section,
    Table,
    convergence_table,
    costs_table,
    effects_table,
    errors_table,
    short_effects_table,
    ten_crops_effects_table,
)
from alexnet.compare.ten_crops import ten_crops_section

ERRORS = "Errors and starts"
INTERACTIONS = "Interactions of two factors (percentage points)"


@dataclass(frozen=True)
class Outline:
    """The parts of a report. `effects` is its first table; `terminal` has what 80 columns hold."""

    headline: list[str]
    effects: Section
    sections: list[Section]
    terminal: list[Section]
    notes: list[str]
    method: list[str]


def outline(comparison: Comparison) -> Outline:
    """Return the parts of the report of a design. Raises `UserError` where `resolve` has no answer."""
    if isinstance(comparison, Factorial):
        return _factorial(comparison)
    assert isinstance(comparison, OneAtATime)
    return _one_at_a_time(comparison)


def _one_at_a_time(comparison: OneAtATime) -> Outline:
    how_many = how_many_section(comparison)
    claims = claims_table(comparison)
    errors = Section(ERRORS, errors_table(comparison))
    short_errors = Section(ERRORS, errors_table(comparison, with_choices=False))
    costs = Section("Epochs and cost", costs_table(comparison))
    speed = _section(
        f"Epochs to {comparison.training_error:g}% training error", convergence_table(comparison)
    )
    ranking = ranking_section(comparison)
    crops, on_crops = ten_crops_section(comparison), _on_ten_crops(comparison)
    pilot = _section("Pilot", pilot_table(comparison.record))
    differences = f"Error, arm minus {comparison.baseline.name} (percentage points)"
    return Outline(
        narrative.headline(comparison),
        Section("Differences in error (percentage points)", effects_table(comparison)),
        _present(speed, ranking, _section("Claims", claims), errors, on_crops, crops)
        + _present(costs, pilot, how_many),
        _present(
            *(Section(differences, short_effects_table(comparison)), speed),
            *(ranking_section(comparison, short=True), short_errors),
            *(on_crops, ten_crops_section(comparison, short=True)),
            *(costs, pilot, how_many),
        ),
        notes.notes(comparison),
        narrative.method(comparison),
    )


def _on_ten_crops(comparison: OneAtATime) -> Section | None:
    estimate = notes.estimate_text(comparison.ten_crops_pool)
    sentences = [
        f"Top-1 errors averaged over ten crops, measured by evaluate.py. Differences are {estimate}."
    ]
    table = ten_crops_effects_table(comparison)
    return Section("Differences on ten crops (percentage points)", table, sentences) if table else None


def _factorial(comparison: Factorial) -> Outline:
    how_many = how_many_section(comparison)
    claims = claims_table(comparison)
    errors = Section(ERRORS, errors_table(comparison, with_start_rates=False))  # those of a cell say little
    costs = Section("Epochs and cost", costs_table(comparison))
    interactions = _section(INTERACTIONS, interactions_table(comparison))
    levels = Section("Runs at both levels of each factor", levels_table(comparison))
    crops = ten_crops_section(comparison)
    pilot = _section("Pilot", pilot_table(comparison.record))
    averaged = Section(f"Error, {AVERAGED} (percentage points)", averaged_table(comparison))
    removed = Section(f"Error, {REMOVED} (percentage points)", removed_table(comparison))
    return Outline(
        factorial_narrative.headline(comparison),
        Section("Differences in error (percentage points)", factors_table(comparison)),
        _present(interactions, _section("Claims", claims), levels, errors, crops)
        + _present(costs, pilot, how_many),
        _present(averaged, removed, interactions, levels, ten_crops_section(comparison, short=True))
        + _present(pilot, how_many),
        factorial_notes.notes(comparison),
        factorial_narrative.method(comparison),
    )


def _section(heading: str, table: Table | None) -> Section | None:
    return None if table is None else Section(heading, table)


def _present(*sections: Section | None) -> list[Section]:
    return [section for section in sections if section is not None]
