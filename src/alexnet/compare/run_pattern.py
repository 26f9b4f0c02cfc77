"""Arms of any runs that a pattern finds, by what they differ in."""

import glob
import json
from collections import Counter
from pathlib import Path
from typing import Any

from alexnet.compare.arms import Arms, add_run, differences, format_changes, format_value
from alexnet.compare.model_diffs import ABSENT, factors_within_models, reported_changes
from alexnet.compare.runs import ExcludedRun, Run, read_run
from alexnet.errors import UserError
from alexnet.studies.folder import is_run


def read_runs(pattern: str, baseline: str | None) -> Arms:
    """Read the runs whose folders match a glob pattern, as arms by what they differ in.

    The baseline is the arm that `baseline` describes ("model.lrn=true"), or the one that has the
    commonest value of every key that differs. Raises `UserError` where that is no single arm.
    """
    expanded = str(Path(pattern).expanduser())
    matches = sorted(map(Path, glob.glob(expanded, recursive=True)))  # noqa: PTH207 (may be absolute)
    paths = [path for path in matches if is_run(path)]
    if not paths:
        raise UserError(f"runs={pattern}: none of the {len(matches)} matching paths is a run folder.")
    groups: dict[str, dict[int, Run]] = {}
    excluded: list[ExcludedRun] = []
    diverged: Counter[str] = Counter()
    for path in paths:
        run = read_run(path, str(path))
        key = json.dumps(run.settings, sort_keys=True) if run.settings is not None else ""
        if isinstance(run, ExcludedRun):
            diverged[key] += run.diverged
            key = ""
        add_run(run, path, groups.setdefault(key, {}) if key else {}, excluded)
    if len(groups) < 2:
        which = (
            "None of these runs is complete" if not groups else "All completed runs have the same settings"
        )
        raise UserError(f"runs={pattern}: {which}; there is nothing to compare.")
    settings = [next(iter(group.values())).settings for group in groups.values()]
    index, rule = _choose_baseline(settings, baseline)
    names = _names(settings, index)
    by_name = Counter({name: diverged[key] for name, key in zip(names, groups, strict=True)})
    arms = dict(zip(names, groups.values(), strict=True))
    return Arms(None, arms, "baseline", rule, excluded, diverged=by_name)


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
        problem = f"baseline={given} matches {len(matching) or 'none'} of the {len(values)} arms."
    else:
        commonest = {key: Counter(group[key] for group in values).most_common(2) for key in keys}
        clear = all(len(top) == 1 or top[0][1] > top[1][1] for top in commonest.values())
        usual = {key: top[0][0] for key, top in commonest.items()}
        if clear and usual in values:
            return values.index(usual), "the runs with the commonest value of every key that differs"
        problem = "Which of these runs are the baseline?"
    differing = [f"{key} ({', '.join(dict.fromkeys(group[key] for group in values))})" for key in keys]
    more = f", and {len(differing) - 4} more keys: a narrower pattern may help" if len(differing) > 4 else ""
    raise UserError(
        f"{problem} Give baseline='<key>=<value> ...'. The runs differ in {', '.join(differing[:4])}{more}."
    )
