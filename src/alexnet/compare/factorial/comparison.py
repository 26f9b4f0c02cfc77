"""A comparison of a factorial's cells: the effect of each factor from all runs."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

import numpy as np
import yaml

from alexnet.compare.arms import Arms, format_changes, without_runs
from alexnet.compare.comparison import ArmResult, Comparison, plain_result
from alexnet.compare.factorial.model import FactorialFit, NotEstimableError, fit_factorial
from alexnet.compare.factorial.terms import Levels, Term, estimable_terms
from alexnet.compare.model_diffs import ABSENT, Changes
from alexnet.compare.pairing import check_comparable, first_reason
from alexnet.compare.runs import NO_CLAIM, Run, read_claim
from alexnet.compare.start_rate import StartRate, start_rate
from alexnet.compare.titles import title
from alexnet.config import ClaimConfig, CompareConfig
from alexnet.config.hashing import is_under
from alexnet.errors import UserError
from alexnet.paths import CONF
from alexnet.studies.record import StudyRecord


@dataclass(frozen=True)
class Level:
    """The runs of all cells with one level of a factor. The error, in percent, is of those that started."""

    changed: bool
    start: StartRate
    top1_error: float | None
    images_per_second: float | None


@dataclass(frozen=True)
class Factor:
    """A factor: the keys that it changes, what was claimed of it, and the runs at its two levels."""

    name: str
    changes: Changes
    claim: ClaimConfig
    levels: tuple[Level, Level]  # the baseline's, the changed one

    @property
    def text(self) -> str:
        """What it changes, as it would be typed."""
        return format_changes(self.changes) or "nothing"


@dataclass(frozen=True)
class Factorial(Comparison):
    """The cells of a factorial as arms, without differences, and the effects of its factors.

    `cells` maps each cell to the factors that it changes; `top5` is None where runs lack that error.
    """

    record: StudyRecord
    factors: list[Factor]
    cells: dict[str, list[str]]
    top1: FactorialFit
    top5: FactorialFit | None

    @property
    def mains(self) -> list[Term]:
        """The main effects, the largest first."""
        return sorted((term for term in self.top1.averaged if term.is_main), key=self._size)

    @property
    def interactions(self) -> list[Term]:
        """The interactions that are estimated, the largest first."""
        return sorted((term for term in self.top1.averaged if not term.is_main), key=self._size)

    @property
    def factor(self) -> dict[str, Factor]:
        """The factors by name."""
        return {factor.name: factor for factor in self.factors}

    def cell_mean(self, levels: Mapping[str, bool]) -> float | None:
        """Return the mean top-1 error in percent of the cells with these levels, of the runs that started.

        Each cell counts alike, however many runs it has, as in the effects. `levels` says of some factors
        whether they are changed. None where no run started.
        """
        return _mean_of_cells(
            arm
            for arm in self.all_variants
            if all((name in self.cells[arm.name]) == changed for name, changed in levels.items())
        )

    def _size(self, term: Term) -> float:
        return -abs(self.top1.averaged[term].mean)


def compare_factorial(groups: Arms, config: CompareConfig) -> Factorial:
    """Estimate all effects. Raises `UserError` where the runs do not allow it, or cannot be compared."""
    record = groups.record
    assert record is not None
    if config.baseline not in (None, record.baseline):
        raise UserError(
            f"baseline={config.baseline}: effects in a {record.design.value} are relative to its own"
            f" baseline, {record.baseline}."
        )
    check_comparable(groups, config.allow)
    cells = [
        _cell(name, runs, record, config, groups.diverged[name]) for name, runs in groups.arms.items() if runs
    ]
    if not cells or (record.baseline in record.arms and not groups.arms[record.baseline]):
        raise UserError(
            f"study={config.study}: {record.baseline}, the baseline, has no completed run, so nothing to"
            f" compare with.{first_reason(groups)}"
        )
    cells.sort(key=lambda cell: (cell.name != record.baseline, list(record.arms).index(cell.name)))
    factors = [_factor(name, cells, groups, config.confidence) for name in record.factors]
    runs = [run for cell in cells for run in cell.runs]
    return Factorial(
        groups,
        title(groups.subject, runs, {key for factor in factors for key in factor.changes}),
        cells[0],
        groups.baseline_rule,
        cells[1:],
        groups.excluded + without_runs(groups),
        record,
        config.training_error,
        config.confidence,
        config.resolve,
        factors,
        record.arms,
        *_fits(cells, factors, groups, config),
    )


def level_matrix(arms: Sequence[str], record: StudyRecord) -> Levels:
    """Return the levels of the factors as [arms, factors]: -1 the baseline's, +1 the changed one."""
    return np.array([[1.0 if name in record.arms[arm] else -1.0 for name in record.factors] for arm in arms])


def _cell(
    name: str, runs: Mapping[int, Run], record: StudyRecord, config: CompareConfig, diverged: int
) -> ArmResult:
    """Return a cell's result, with what the pilot chose for it where that is not the baseline's."""
    in_order = [run for _, run in sorted(runs.items())]
    usual, chosen = (record.chosen.get(arm, {}) for arm in (record.baseline, name))
    pairs = {key: (usual.get(key, ABSENT), value) for key, value in chosen.items()}
    tuned = {key: pair for key, pair in pairs.items() if pair[0] != pair[1]}
    return replace(plain_result(name, in_order, in_order[0].claim, config, diverged), tuned=tuned)


def _fits(
    cells: Sequence[ArmResult], factors: Sequence[Factor], groups: Arms, config: CompareConfig
) -> tuple[FactorialFit, FactorialFit | None]:
    """Fit the top-1 errors, and the top-5 errors where every run has one."""
    record = groups.record
    assert record is not None
    terms = estimable_terms(record.factors, level_matrix(list(record.arms), record))
    runs = [(cell.name, run) for cell in cells for run in cell.started]
    levels = level_matrix([name for name, _ in runs], record)
    seeds = [run.seed for _, run in runs]
    blocks = seeds if _may_be_blocked(cells, record) else None

    def fit(errors: list[float | None]) -> FactorialFit | None:
        if None in errors:
            return None
        values = np.array(errors, dtype=float)
        return fit_factorial(record.factors, terms, levels, values, blocks, config.confidence)

    try:
        top1 = fit([run.top1_error for _, run in runs])
        top5 = fit([run.top5_error for _, run in runs])
    except NotEstimableError:
        raise UserError(_not_estimable(cells, factors, groups, config)) from None
    assert top1 is not None  # a run without a validation error does not count
    return top1, top5


def _may_be_blocked(cells: Sequence[ArmResult], record: StudyRecord) -> bool:
    """Return whether there are two seeds or more that every cell has; others may have some of the cells."""
    seeds = [{run.seed for run in cell.runs} for cell in cells]
    return len(cells) == len(record.arms) and len(set.intersection(*seeds)) > 1


def _not_estimable(
    cells: Sequence[ArmResult], factors: Sequence[Factor], groups: Arms, config: CompareConfig
) -> str:
    assert groups.record is not None
    runs = [run for cell in cells for run in cell.runs]
    diverged = groups.diverged.total()
    missing = sum(map(len, groups.record.seeds.values())) - len(runs) - diverged
    levels = [(factor.name, level) for factor in factors for level in factor.levels]
    worst = sorted(levels, key=lambda pair: pair[1].start.started / pair[1].start.runs)[:2]
    rates = [
        f"{'with' if level.changed else 'without'} {name} {start.started} of {start.runs}"
        for name, level in worst
        if (start := level.start).started < start.runs
    ]
    started = f"of {len(runs) + diverged} runs {sum(run.started for run in runs)} started"
    return (
        f"study={config.study}: the remaining runs cannot separate its effects: {started}"
        + (f" ({', '.join(rates)})" if rates else "")
        + (f", and {missing} are missing" if missing > 0 else "")
        + ". Leave out the factor that does not train, or run the study's command again."
    )


def _factor(name: str, cells: Sequence[ArmResult], groups: Arms, confidence: float) -> Factor:
    """Return a factor. Raises `UserError` if no run of one of its levels counts."""
    record = groups.record
    assert record is not None
    without = [cell for cell in cells if name not in record.arms[cell.name]]
    having = [cell for cell in cells if name in record.arms[cell.name]]
    if not without or not having:
        which = "with" if without else "without"
        raise UserError(f"The effect of {name} cannot be estimated: no completed run {which} it.")
    settings = [[cell.runs[0].settings for cell in side] for side in (without, having)]
    lost = [0, 0]  # runs that diverged, of cells without any other, at each level
    for cell, runs in groups.arms.items():
        if not runs:
            lost[name in record.arms[cell]] += groups.diverged[cell]
    levels = (_level(False, without, lost[0], confidence), _level(True, having, lost[1], confidence))
    return Factor(name, _changes(*settings, tuned=groups.tuned_keys), _claim(name, cells, record), levels)


def _level(changed: bool, cells: Sequence[ArmResult], lost: int, confidence: float) -> Level:
    runs = [run for cell in cells for run in cell.runs]
    speeds = [run.images_per_second for run in runs if run.images_per_second is not None]
    return Level(
        changed,
        start_rate(runs, confidence, lost + sum(cell.start.runs - len(cell.runs) for cell in cells)),
        _mean_of_cells(cells),
        fmean(speeds) if len(speeds) == len(runs) else None,
    )


def _mean_of_cells(cells: Iterable[ArmResult]) -> float | None:
    errors = [error for cell in cells if (error := cell.mean_error()) is not None]
    return fmean(errors) if errors else None


def _changes(
    without: list[dict[str, Any]], having: list[dict[str, Any]], *, tuned: tuple[str, ...]
) -> Changes:
    """Return the keys that have one value in all cells without the factor, and another in all with it."""
    changes = {}
    for key in {**without[0], **having[0]}:
        sides = [[settings.get(key, ABSENT) for settings in side] for side in (without, having)]
        uniform = all(value == side[0] for side in sides for value in side)
        if uniform and sides[0][0] != sides[1][0] and not is_under(key, tuned):
            changes[key] = (sides[0][0], sides[1][0])
    return changes


def _claim(factor: str, cells: Sequence[ArmResult], record: StudyRecord) -> ClaimConfig:
    """Return the claim of the cell that changes this factor only; where there is none, its experiment's."""
    alone = next((cell for cell in cells if record.arms[cell.name] == [factor]), None)
    if alone is not None:
        return alone.claim
    file = CONF / "experiment" / f"{factor}.yaml"
    if not re.fullmatch(r"\w+", factor) or not file.is_file():
        return NO_CLAIM
    return read_claim((yaml.safe_load(file.read_text(encoding="utf-8")) or {}).get("claim"), file)
