"""The pilot of a study as a table: what was tried for each arm, and what was chosen."""

from collections.abc import Iterable
from statistics import fmean
from typing import Any

from alexnet.compare.arms import format_value
from alexnet.compare.tables import Table, format_number
from alexnet.studies.record import StudyRecord, Trial


def pilot_table(record: StudyRecord | None) -> Table | None:
    """Tabulate the trials by arm and values, errors over the runs that started; None without a pilot."""
    if record is None or not record.trials:
        return None
    keys = dict.fromkeys(key for trial in record.trials for key in trial.values)
    groups: dict[tuple[str, ...], list[Trial]] = {}
    for trial in record.trials:
        groups.setdefault((trial.arm, *_texts(trial.values, keys)), []).append(trial)
    rows = []
    for (arm, *values), trials in groups.items():
        errors = [trial.error for trial in trials if trial.started and trial.error is not None]
        row = [arm, *values, " ".join(str(trial.seed) for trial in trials)]
        row.append(format_number(fmean(errors) if errors else None, ".2f", "%"))
        row += [f"{len(errors)} of {len(trials)}", str(sum(trial.error is None for trial in trials))]
        rows.append([*row, "chosen" if values == _texts(record.chosen.get(arm, {}), keys) else ""])
    return Table(["arm", *keys, "seeds", "held-out error", "started", "diverged", "choice"], rows)


def _texts(values: dict[str, Any], keys: Iterable[str]) -> list[str]:
    return [format_value(values[key]) if key in values else "-" for key in keys]
