"""The pilot of a study as a table: what was tried for each arm, and what was chosen."""

from typing import Any

from alexnet.compare.arms import format_value
from alexnet.compare.tables import Table
from alexnet.studies.pilot import RATE, Outcome, measure_heading, measure_text, nearest, summarize
from alexnet.studies.record import StudyRecord


def pilot_table(record: StudyRecord | None) -> Table | None:
    """Tabulate the trials by arm and values, means over the runs that started; None without a pilot."""
    if record is None or not record.trials:
        return None
    keys = list(dict.fromkeys(key for trial in record.trials for key in trial.values))
    outcomes = summarize(record.trials)
    arms = list(dict.fromkeys(trial.arm for trial in record.trials))
    fitted = any(outcome.fitted is not None for outcome in outcomes)
    rows = [
        [
            outcome.arm,
            *(_text(outcome.values, key) for key in keys),
            measure_text(outcome.mean, record.measure),
            *([measure_text(outcome.fitted, record.measure)] if fitted else []),
            f"{outcome.started} of {outcome.runs}",
            str(outcome.diverged),
            _choice(outcome, outcomes, record),
        ]
        for outcome in sorted(outcomes, key=lambda found: (arms.index(found.arm), found.values[RATE]))
    ]
    headings = [
        measure_heading(record.measure),
        *(["fitted"] if fitted else []),
        "started",
        "diverged",
        "choice",
    ]
    return Table(["arm", *keys, *headings], rows)


def _choice(outcome: Outcome, outcomes: list[Outcome], record: StudyRecord) -> str:
    """Say of the outcome that is nearest to what was chosen that it was, or what was, between two rates."""
    chosen = record.chosen.get(outcome.arm)
    if chosen is None or nearest([one for one in outcomes if one.arm == outcome.arm], chosen) is not outcome:
        return ""
    return "chosen" if chosen == outcome.values else f"chosen: {chosen[RATE]:g}"


def _text(values: dict[str, Any], key: str) -> str:
    return format_value(values[key]) if key in values else "-"
