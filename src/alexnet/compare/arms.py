"""Arms: completed runs that differ in nothing but their seed."""

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

from alexnet.compare.model_diffs import ABSENT, Changes
from alexnet.compare.runs import ExcludedRun, Run
from alexnet.errors import UserError
from alexnet.studies.record import StudyRecord


@dataclass
class Arms:
    """Completed runs by arm, each arm's by seed; `baseline` names one of the arms.

    `subject` is what they are about, in words; None: the keys that differ say it.
    """

    subject: str | None
    arms: dict[str, dict[int, Run]]
    baseline: str
    baseline_rule: str  # how the baseline was chosen, for the report
    excluded: list[ExcludedRun] = field(default_factory=list)
    record: StudyRecord | None = None  # of a study that a sweeper ran
    diverged: Counter[str] = field(default_factory=Counter)  # runs by arm

    @property
    def tuned_keys(self) -> tuple[str, ...]:
        """The keys whose values a pilot chose for each arm."""
        chosen = self.record.chosen.values() if self.record else ()
        return tuple(dict.fromkeys(key for values in chosen for key in values))


def add_run(run: Run | ExcludedRun, path: Path, arm: dict[int, Run], excluded: list[ExcludedRun]) -> None:
    """Add a run to its arm, or to those that do not count; of two of one seed the later counts."""
    if isinstance(run, ExcludedRun):
        excluded.append(run)
        return
    if run.seed in arm:  # names begin with date and time: the later name is the newer run
        older = str(arm[run.seed].path)
        excluded.append(ExcludedRun(older, f"{path} has the same settings and seed, and is newer"))
    arm[run.seed] = run


def without_runs(groups: Arms) -> list[ExcludedRun]:
    """Return the arms of which no run was completed; those that diverged did not start."""
    excluded = []
    for name in (name for name, runs in groups.arms.items() if not runs):
        count = groups.diverged[name]
        reason = f"0 of {count} started: all diverged" if count else "no completed runs"
        excluded.append(ExcludedRun(name, reason))
    return excluded


def check_several(title: str, arms: dict[str, dict[int, Run]]) -> None:
    """Raise `UserError` where there is only one arm: with what its seeds gave."""
    runs = [run for arm in arms.values() for run in arm.values()]
    if not runs:
        raise UserError(f"{title}: no completed runs, so nothing to compare.")
    if len(arms) > 1:
        return
    errors = [run.top1_error for run in runs]
    seeds = ", ".join(str(run.seed) for run in runs)
    found = f"mean {fmean(errors):.2f}%, from {min(errors):.2f}% to {max(errors):.2f}%"
    raise UserError(
        f"{title}: only seeds differ ({seeds}), so there is nothing to compare."
        f" Top-1 error: {found if len(errors) > 1 else f'{errors[0]:.2f}%'}."
    )


def differences(baseline: dict[str, Any], arm: dict[str, Any]) -> Changes:
    """Return the keys that differ, each with the baseline's and the arm's value."""
    keys = [*baseline, *(key for key in arm if key not in baseline)]
    pairs = {key: (baseline.get(key, ABSENT), arm.get(key, ABSENT)) for key in keys}
    return {key: pair for key, pair in pairs.items() if pair[0] != pair[1]}


def format_changes(changed: Changes) -> str:
    """Format what an arm changes as it is typed: model.lrn=false model.dropout=0.0."""
    return " ".join(f"{key}={format_value(value)}" for key, (_, value) in changed.items())


def format_value(value: Any) -> str:
    """Format a value as it is typed on the command line."""
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
