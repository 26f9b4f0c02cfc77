"""Arms of the folder of a sweep: what its jobs set, without the seed."""

from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ValueType
from hydra.errors import HydraException
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from alexnet.compare.arms import Arms, add_run, check_several, differences, format_value
from alexnet.compare.runs import ExcludedRun, Run, read_run
from alexnet.compare.titles import subject_of
from alexnet.config.hashing import UNHASHED_KEYS, is_under
from alexnet.errors import UserError, suggest
from alexnet.files import parse_yaml
from alexnet.studies.folder import MULTIRUN

Settings = dict[str, str]  # what a job sets, as typed


@dataclass(frozen=True)
class _Command:
    """The command of a sweep: its configuration without the swept keys, and the values of each in order."""

    defaults: DictConfig
    values: dict[str, list[str]]

    def is_default(self, key: str, value: Any) -> bool:
        try:
            return bool(OmegaConf.select(self.defaults, key) == value)
        except OmegaConfBaseException:  # an interpolation that only the program can resolve
            return False

    def position(self, settings: Settings) -> tuple[int, ...]:
        """Return where a job is in the order of the command; the first has zeros."""
        return tuple(
            values.index(settings[key]) if settings.get(key) in values else len(values)
            for key, values in self.values.items()
        )


def read_sweep(folder: Path, paths: Iterable[Path], baseline: str | None) -> Arms:
    """Read the runs of a sweep. An arm is a combination of the swept values, the seed apart.

    The baseline is the arm given ("model.lrn=true"; a part of its name where that is clear), or the arm in
    which the swept keys have their default values, or that of the first values. Raises `UserError` where
    there are no two arms, and where the baseline is not clear.
    """
    swept, excluded = _swept_settings(folder, paths)
    arms: dict[str, dict[int, Run]] = {}
    settings: dict[str, Settings] = {}
    diverged: Counter[str] = Counter()
    for path, job in swept.items():
        run = read_run(path, str(path.relative_to(folder)))
        arm = ",".join(f"{key}={value}" for key, value in job.items()) or "all"
        settings[arm] = job
        add_run(run, path, arms.setdefault(arm, {}), excluded)
        diverged[arm] += isinstance(run, ExcludedRun) and run.diverged
    check_several(f"study={folder}", arms)
    command = _read_command(folder)
    if command is not None:
        arms = dict(sorted(arms.items(), key=lambda item: command.position(settings[item[0]])))
    name, rule = _find_baseline(arms, settings, command, baseline)
    return Arms(subject_of(folder, None), arms, name, rule, excluded, None, diverged)


def _swept_settings(folder: Path, paths: Iterable[Path]) -> tuple[dict[Path, Settings], list[ExcludedRun]]:
    """Return what each run's command sets differently from the others', and the runs without that."""
    jobs: dict[Path, Settings] = {}
    excluded = []
    for path in paths:
        try:
            typed = parse_yaml((path / "overrides.yaml").read_text(encoding="utf-8"))
            jobs[path] = _as_settings(map(str, typed))
        except (OSError, ValueError, TypeError, yaml.YAMLError, HydraException):
            reason = "overrides.yaml is missing or damaged"
            excluded.append(ExcludedRun(str(path.relative_to(folder)), reason))
    keys = dict.fromkeys(key for job in jobs.values() for key in job)
    swept = [key for key in keys if len({job.get(key) for job in jobs.values()}) > 1]
    return {path: {key: job[key] for key in swept if key in job} for path, job in jobs.items()}, excluded


def _as_settings(overrides: Iterable[str]) -> Settings:
    """Return the values of overrides by key, without the seed and what does not change a result."""
    parsed = OverridesParser.create().parse_overrides(list(overrides))
    return {
        item.key_or_group: format_value(item.value())
        for item in parsed
        if not is_under(item.key_or_group, ("seed", *UNHASHED_KEYS)) and not item.is_sweep_override()
    }


def _as_text(parser: OverridesParser, value: str) -> str:
    """Return a value of a sweep as a job's overrides have it."""
    return format_value(parser.parse_override(f"key={value}").value())


def _read_command(folder: Path) -> _Command | None:
    """Read the command of the sweep's last start, as Hydra has recorded it; None without this record."""
    with suppress(OSError, ValueError, yaml.YAMLError, OmegaConfBaseException, HydraException):
        defaults = OmegaConf.load(folder / MULTIRUN)
        if not isinstance(defaults, DictConfig):
            return None
        task = OmegaConf.select(defaults, "hydra.overrides.task")
        if not isinstance(task, ListConfig):
            return None
        typed = cast(list[str], OmegaConf.to_container(task, resolve=False))
        parser = OverridesParser.create()
        values = {
            item.key_or_group: [_as_text(parser, value) for value in item.sweep_string_iterator()]
            for item in parser.parse_overrides(typed)
            if item.is_discrete_sweep() and item.value_type is not ValueType.GLOB_CHOICE_SWEEP
        }
        return _Command(defaults, values)
    return None


def _find_baseline(
    arms: dict[str, dict[int, Run]],
    settings: dict[str, Settings],
    command: _Command | None,
    given: str | None,
) -> tuple[str, str]:
    """Return the baseline's name among the arms, in order of the command, and the rule that found it."""
    choices = f"Arms: {' '.join(arms)}"
    if given is not None:
        described = set(given.replace(",", " ").split())
        named = [arm for arm in arms if arm == given] or [
            arm for arm in arms if described <= {f"{key}={value}" for key, value in settings[arm].items()}
        ]
        if len(named) != 1:
            unknown = f"there is no such arm.{suggest(given, arms)}"
            what = f"matches {len(named)} arms." if named else unknown
            raise UserError(f"baseline={given}: {what} {choices}")
        return named[0], "as given"
    if command is None:
        raise UserError(f"Which arm is the baseline? Choose one: baseline=<arm>. {choices}")
    runs = {arm: next(iter(seeds.values())) for arm, seeds in arms.items() if seeds}
    first = next(iter(runs.values()))
    keys = dict.fromkeys(key for run in runs.values() for key in differences(first.settings, run.settings))
    default = [
        arm
        for arm, run in runs.items()
        if keys and all(command.is_default(key, run.settings.get(key)) for key in keys)
    ]
    return (default[0], "the default values") if default else (next(iter(arms)), "the first values")
