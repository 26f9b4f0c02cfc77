"""Which runs make an arm, and which arm is the baseline."""

import glob
import json
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from alexnet.compare.model_diffs import ABSENT, Changes, factors_within_models, reported_changes
from alexnet.compare.runs import ExcludedRun, Run, is_run, read_run
from alexnet.errors import UserError, suggest
from alexnet.studies.record import StudyRecord, read_record

SEED = re.compile(r"seed=-?\d+")  # not seed=0.failed-1: a later start of the study set that aside


@dataclass
class Arms:
    """Completed runs by arm, each arm's by seed; `baseline` names one of the arms."""

    title: str
    arms: dict[str, dict[int, Run]]
    baseline: str
    baseline_rule: str  # how the baseline was chosen, for the report
    excluded: list[ExcludedRun] = field(default_factory=list)
    record: StudyRecord | None = None  # of a study that a sweeper ran


def read_study(folder: Path, baseline: str | None) -> Arms:
    """Read the runs in <folder>/<arm>/seed=<n>/.

    The baseline is the arm given, or else the one that the runs name. Raises `UserError` where there are no runs, or no such baseline.
    """
    if not folder.is_dir():
        siblings = folder.parent.iterdir() if folder.parent.is_dir() else ()
        nearest = suggest(folder.name, (path.name for path in siblings))
        raise UserError(f"study={folder}: there is no such folder.{nearest}")
    paths = sorted(path for path in folder.glob("*/seed=*") if path.is_dir() and SEED.fullmatch(path.name))
    if not paths:
        raise UserError(
            f"study={folder}: there are no <arm>/seed=<n>/ folders in it. For runs in another layout:"
            f" runs='{folder}/*'"
        )
    arms: dict[str, dict[int, Run]] = {path.parent.name: {} for path in paths}
    excluded: list[ExcludedRun] = []
    for path in paths:
        _add(read_run(path, f"{path.parent.name} {path.name}"), path, arms[path.parent.name], excluded)
    seeds = {path.name for path in paths}
    for arm in arms:
        missing = seeds - {path.name for path in paths if path.parent.name == arm}
        excluded += [ExcludedRun(f"{arm} {seed}", "there is no such run") for seed in sorted(missing)]
    name, rule = _find_baseline(arms, baseline)
    return Arms(folder.resolve().name, arms, name, rule, excluded, read_record(folder))


def read_runs(pattern: str, baseline: str | None) -> Arms:
    """Read the runs whose folders match a glob pattern, as arms by what they differ in.

    The baseline is the arm that `baseline` describes ("model.lrn=true"), or the one that has the
    commonest value of every key that differs. Raises `UserError` where that is no single arm.
    """
    expanded = str(Path(pattern).expanduser())
    matches = sorted(map(Path, glob.glob(expanded, recursive=True)))  # noqa: PTH207 (may be absolute)
    paths = [path for path in matches if is_run(path)]
    if not paths:
        raise UserError(f"runs={pattern}: there is no run's folder among the {len(matches)} that match.")
    groups: dict[str, dict[int, Run]] = {}
    excluded: list[ExcludedRun] = []
    for path in paths:
        run = read_run(path, str(path))
        key = json.dumps(run.settings, sort_keys=True) if isinstance(run, Run) else ""
        _add(run, path, groups.setdefault(key, {}) if key else {}, excluded)
    if len(groups) < 2:
        which = (
            "None of these runs is complete" if not groups else "All completed runs have the same settings"
        )
        raise UserError(f"runs={pattern}: {which}; there is nothing to compare.")
    settings = [next(iter(group.values())).settings for group in groups.values()]
    index, rule = _choose_baseline(settings, baseline)
    names = _names(settings, index)
    return Arms(f"runs {pattern}", dict(zip(names, groups.values(), strict=True)), "baseline", rule, excluded)


def _names(settings: list[dict[str, Any]], baseline: int) -> list[str]:
    """Name each group by what it changes."""
    changes = [differences(settings[baseline], arm) for arm in settings]
    factors = factors_within_models(settings)
    short = [
        format_changes(reported_changes(changed, arm, factors))
        for changed, arm in zip(changes, settings, strict=True)
    ]
    names = short if len(set(short)) == len(short) else [format_changes(changed) for changed in changes]
    return ["baseline" if index == baseline else name for index, name in enumerate(names)]


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


def _add(run: Run | ExcludedRun, path: Path, group: dict[int, Run], excluded: list[ExcludedRun]) -> None:
    if isinstance(run, ExcludedRun):
        excluded.append(run)
        return
    if run.seed in group:  # names begin with date and time: the later name is the newer run
        older = str(group[run.seed].path)
        excluded.append(ExcludedRun(older, f"{path} has the same settings and seed, and is newer"))
    group[run.seed] = run


def _find_baseline(arms: dict[str, dict[int, Run]], given: str | None) -> tuple[str, str]:
    """Return the baseline's name among a study's arms, and the rule that found it."""
    choices = f"Arms: {', '.join(arms)}."
    if given is not None:
        if given not in arms:
            raise UserError(f"baseline={given}: there is no such arm.{suggest(given, arms)} {choices}")
        return given, "as given"
    named = sorted({run.baseline for runs in arms.values() for run in runs.values() if run.baseline})
    if len(named) > 1:
        raise UserError(
            f"These runs name different baselines: {', '.join(named)}. Give one: baseline=<arm>. {choices}"
        )
    name = named[0] if named else "baseline"
    if name not in arms:
        raise UserError(f"No arm is called {name}. Give one: baseline=<arm>. {choices}")
    return name, "as the study says" if named else "the arm of this name"


def _choose_baseline(settings: list[dict[str, Any]], given: str | None) -> tuple[int, str]:
    """Return the index of the baseline among groups of runs, and the rule that chose it."""
    factors = factors_within_models(settings)
    keys = dict.fromkeys(
        key
        for other in settings[1:]
        for key in reported_changes(differences(settings[0], other), other, factors)
    )
    values = [{key: format_value(group.get(key, ABSENT)) for key in keys} for group in settings]
    if given is not None:
        described = set(given.split())
        matching = [
            index
            for index, group in enumerate(values)
            if described <= {f"{key}={value}" for key, value in group.items()}
        ]
        if len(matching) == 1:
            return matching[0], f"as given, {given}"
        problem = f"baseline={given} describes {len(matching) or 'none'} of the {len(values)} arms."
    else:
        commonest = {key: Counter(group[key] for group in values).most_common(2) for key in keys}
        clear = all(len(top) == 1 or top[0][1] > top[1][1] for top in commonest.values())
        usual = {key: top[0][0] for key, top in commonest.items()}
        if clear and usual in values:
            return values.index(usual), "the runs with the commonest value of every key that differs"
        problem = "It is not clear which of these runs are the baseline."
    differing = [f"{key} ({', '.join(dict.fromkeys(group[key] for group in values))})" for key in keys]
    more = f", and {len(differing) - 4} more keys: a narrower pattern may help" if len(differing) > 4 else ""
    raise UserError(
        f"{problem} Give baseline='<key>=<value> ...'. The runs differ in {', '.join(differing[:4])}{more}."
    )
