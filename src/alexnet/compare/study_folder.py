"""Arms of the folder of a study, or of a sweep."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

from alexnet.compare.archive import read_archive
from alexnet.compare.arms import Arms, add_run, check_several
from alexnet.compare.runs import ExcludedRun, Run, read_run
from alexnet.compare.sweep_folder import read_sweep
from alexnet.compare.titles import subject_of
from alexnet.errors import UserError, suggest
from alexnet.studies.folder import arm_and_seed, is_archive, run_folders
from alexnet.studies.record import FILE, StudyRecord, read_record

BY_STUDY = "set by the study"  # how the baseline was chosen
Placed = dict[str, dict[int, Path]]  # the folders of a study's runs, by arm and seed


def read_folder(folder: Path, baseline: str | None) -> Arms:
    """Read the runs of a study, in <folder>/<arm>/seed=<n>/, or those of a sweep.

    A study's baseline is the arm given, or else the one that its record or its runs name; for that of a sweep
    see `read_sweep`. Raises `UserError` where there are no two arms or no such baseline, and for a run with
    another seed than its folder's.
    """
    if is_archive(folder):
        return with_baseline(read_archive(folder), baseline)
    record, paths = read_record(folder), run_folders(folder)
    placed: Placed = {}
    strays = []
    for path in paths:
        if (place := arm_and_seed(path, folder)) is None:
            strays.append(ExcludedRun(str(path.relative_to(folder)), "its folder is not <arm>/seed=<n>"))
        else:
            placed.setdefault(place[0], {})[place[1]] = path
    if record is None and not placed:
        return read_sweep(folder, paths, baseline)
    return _read_study(folder, placed, record, baseline, strays)


def with_baseline(read: Arms, given: str | None) -> Arms:
    """Return the arms with another baseline, where one is given."""
    if given is None:
        return read
    name, rule = _find_baseline(read.arms, given, read.record)
    return replace(read, baseline=name, baseline_rule=rule)


def _read_study(
    folder: Path,
    placed: Placed,
    record: StudyRecord | None,
    given: str | None,
    excluded: list[ExcludedRun],
) -> Arms:
    arms: dict[str, dict[int, Run]] = {arm: {} for arm in record.arms} if record else {}
    diverged: Counter[str] = Counter()
    for arm, paths in placed.items():
        arms[arm] = _read_arm(arm, paths, excluded, diverged)
        if record and arm not in record.arms and not _is_deterministic(arms[arm]):
            raise UserError(
                f"study={folder}: {arm} is not an arm of this study ({FILE}). Move its runs elsewhere."
            )
    check_several(f"study={folder}", arms)
    baseline, rule = _find_baseline(arms, given, record)
    planned = _planned_seeds(placed, arms, record)
    excluded += [
        ExcludedRun(f"{arm} seed={seed}", "the run does not exist")
        for arm, seeds in planned.items()
        for seed in sorted(seeds - placed.get(arm, {}).keys())
    ]
    for arm, runs in arms.items():
        if _is_deterministic(runs) and arm != baseline:
            one = next(iter(runs.values()))
            arms[arm] = {seed: replace(one, seed=seed) for seed in arms.get(baseline, {})} | runs
    return Arms(subject_of(folder, record), arms, baseline, rule, excluded, record, diverged)


def _read_arm(
    arm: str, paths: dict[int, Path], excluded: list[ExcludedRun], diverged: Counter[str]
) -> dict[int, Run]:
    """Return the completed runs of an arm by seed; the others are added to `excluded`."""
    runs: dict[int, Run] = {}
    for seed, path in sorted(paths.items()):
        run = read_run(path, f"{arm} seed={seed}")
        if isinstance(run, Run) and run.seed != seed:
            raise UserError(f"{path}: the run in this folder has seed {run.seed}. Move it out of the study.")
        add_run(run, path, runs, excluded)
        diverged[arm] += isinstance(run, ExcludedRun) and run.diverged
    return runs


def _is_deterministic(runs: dict[int, Run]) -> bool:
    """Return whether these are runs of classical.py: nothing is random, so that one stands for every seed."""
    return bool(runs) and all(run.epochs is None for run in runs.values())


def _planned_seeds(
    placed: Placed, arms: dict[str, dict[int, Run]], record: StudyRecord | None
) -> dict[str, set[int]]:
    """Return the seeds that each arm should have: by the record, or else those that any arm has."""
    if record is not None:
        return {arm: set(seeds) for arm, seeds in record.seeds.items()}
    trained = [arm for arm in arms if not _is_deterministic(arms[arm])]
    return {arm: {seed for other in trained for seed in placed[other]} for arm in trained}


def _find_baseline(
    arms: dict[str, dict[int, Run]], given: str | None, record: StudyRecord | None
) -> tuple[str, str]:
    """Return the baseline's name among a study's arms, and the rule that found it."""
    choices = f"Arms: {', '.join(arms)}."
    if given is not None:
        if given not in arms:
            raise UserError(f"baseline={given}: there is no such arm.{suggest(given, arms)} {choices}")
        return given, "as given"
    if record is not None:
        return record.baseline, BY_STUDY
    runs = [run for arm in arms.values() for run in arm.values()]
    named = sorted({run.baseline for run in runs if run.baseline})
    if len(named) > 1:
        raise UserError(
            f"These runs name different baselines: {', '.join(named)}. Give one: baseline=<arm>. {choices}"
        )
    name = named[0] if named else "baseline"
    if name not in arms:
        raise UserError(f"No arm is called {name}. Give one: baseline=<arm>. {choices}")
    return name, BY_STUDY if named else "by name"
