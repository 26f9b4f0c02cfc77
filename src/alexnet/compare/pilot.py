"""The pilot of a study as a table: what was tried for each arm, and what was chosen."""

from statistics import fmean

from alexnet.compare.arms import format_value
from alexnet.compare.tables import Table, format_number
from alexnet.studies.record import StudyRecord, Trial


def pilot_table(record: StudyRecord | None) -> Table | None:
    """Tabulate the trials by arm and values, errors over the runs that started; None without a pilot."""
    if record is None or not record.trials:
        return None
    groups: dict[tuple[str, str], list[Trial]] = {}
    for trial in record.trials:
        groups.setdefault((trial.arm, _text(trial.values)), []).append(trial)
    rows = []
    for (arm, values), trials in groups.items():
        errors = [trial.error for trial in trials if trial.started and trial.error is not None]
        chosen = values == _text(record.chosen.get(arm, {}))
        row = [arm, values, " ".join(str(trial.seed) for trial in trials)]
        row += [
            format_number(fmean(errors) if errors else None, ".2f", "%"),
            f"{len(errors)} of {len(trials)}",
        ]
        rows.append([*row, str(sum(trial.error is None for trial in trials)), "chosen" if chosen else ""])
    return Table(["arm", "values", "seeds", "held-out error", "started", "diverged", "choice"], rows)


def _text(values: dict[str, object]) -> str:
    return " ".join(f"{key}={format_value(value)}" for key, value in values.items())
