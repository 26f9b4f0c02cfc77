"""What every comparison holds: arms with their errors, costs and claims. `compare` makes one."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from statistics import fmean, stdev

import numpy as np
from numpy.typing import NDArray

from alexnet.compare.added_results import add_results
from alexnet.compare.arms import Arms, format_changes
from alexnet.compare.effects import Effect
from alexnet.compare.model_diffs import Changes, is_alexnet
from alexnet.compare.run_pattern import read_runs
from alexnet.compare.runs import ExcludedRun, Run
from alexnet.compare.start_rate import StartRate, start_rate
from alexnet.compare.study_folder import read_folder, with_baseline
from alexnet.config import ClaimConfig, CompareConfig
from alexnet.config.study import TWO_LEVEL
from alexnet.studies.record import StudyRecord


@dataclass(frozen=True)
class Difference:
    """An arm's difference from the baseline by both estimates, each None where it is not to be had."""

    paired: Effect | None = None
    pooled: Effect | None = None

    @property
    def effect(self) -> Effect | None:
        """The estimate to report: with the pooled variance where that is allowed, else paired by seed."""
        return self.pooled or self.paired


@dataclass(frozen=True)
class ArmResult:
    """One arm over its completed runs. Errors are percentages; the baseline has no difference and no factor.

    Errors and differences are over the runs that started; `pairs` counts those whose baseline of the same
    seed started, too; None for the baseline.
    """

    name: str
    runs: list[Run]
    factor: Changes
    reported: Changes  # the part of the factor that the name of another network does not imply
    tuned: Changes  # what the pilot chose for it, where that is not the baseline's
    claim: ClaimConfig
    top1_difference: Difference
    top5_difference: Difference
    other_effects: dict[str, Effect]  # of the other metrics, by name, in their own units
    epochs_to_error: list[float | None]
    start: StartRate
    pairs: int | None = None
    probability_better: float | None = None
    ten_crops_difference: Difference = Difference()

    @property
    def top1(self) -> Effect | None:
        """The reported difference in top-1 error."""
        return self.top1_difference.effect

    @property
    def top5(self) -> Effect | None:
        """The reported difference in top-5 error."""
        return self.top5_difference.effect

    @property
    def ten_crops(self) -> Effect | None:
        """The reported difference in top-1 error averaged over ten crops; None unless all were evaluated."""
        return self.ten_crops_difference.effect

    @property
    def started(self) -> list[Run]:
        """The runs that started to learn."""
        return [run for run in self.runs if run.started]

    @property
    def factor_text(self) -> str:
        """What the arm changes, as it would be typed; for another network, its name and what else differs."""
        return format_changes(self.reported) or "nothing"

    @property
    def tuned_text(self) -> str:
        """What the pilot chose for it, as it would be typed, where that is not the baseline's."""
        return format_changes(self.tuned)

    @property
    def changes_text(self) -> str:
        """What the arm changes, and what it was given beyond its factor."""
        return "; ".join([self.factor_text, *([f"chosen: {self.tuned_text}"] if self.tuned else [])])

    @property
    def network(self) -> str:
        """The name of its model, or of its hand-made features."""
        return self.runs[0].network

    @property
    def has_epochs(self) -> bool:
        """Whether it learns in epochs; hand-made features with a linear classifier do not."""
        return self.runs[0].epochs is not None

    def mean(self, value: Callable[[Run], float | None]) -> float | None:
        """Return the mean over the runs; None where a run does not have the value."""
        return _mean(self.runs, value)

    def mean_error(self, error: Callable[[Run], float | None] = lambda run: run.top1_error) -> float | None:
        """Return the mean of an error, by default top-1, over the runs that started; None where none did."""
        return _mean(self.started, error)

    @property
    def deviation(self) -> float | None:
        """Standard deviation of the top-1 error over the runs that started; None for fewer than two."""
        errors = [run.top1_error for run in self.started]
        return stdev(errors) if len(errors) > 1 else None

    @property
    def binomial_error(self) -> float | None:
        """Standard error of the mean top-1 error as a share of the validation images, in percentage points.

        It is what drawing other images would add, sqrt(p (1 - p) / images); the same for each run.
        """
        error, images = self.mean_error(), self.runs[0].val_samples
        return sqrt(error * (100 - error) / images) if error is not None and images else None

    def mean_metric(self, name: str) -> float | None:
        """Return the mean of one of `Run.other_metrics` over the runs that started; None if one lacks it."""
        return _mean(self.started, lambda run: run.other_metrics.get(name))

    @property
    def epochs_needed(self) -> float | None:
        """Mean number of epochs to the training error asked for; None unless every run reached it."""
        reached = [epoch for epoch in self.epochs_to_error if epoch is not None]
        return fmean(reached) if reached and len(reached) == len(self.epochs_to_error) else None

    def curve(self, metric: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the epochs in which every run has the metric, and its values as [runs, epochs].

        The runs are those that started; all of them where none did.
        """
        columns = [run.metrics.get(metric, []) for run in self.started or self.runs]
        length = min(map(len, columns))
        values = np.array([column[:length] for column in columns])
        known = np.isfinite(values).all(axis=0)
        epochs = np.array(self.runs[0].metrics.get("epoch", [])[:length])
        return epochs[known], values[:, known]


def plain_result(
    name: str, runs: list[Run], claim: ClaimConfig, config: CompareConfig, diverged: int
) -> ArmResult:
    """Return an arm's result without any difference: that of a baseline, or of a cell of a factorial."""
    reached = [run.epochs_to(config.training_error) for run in runs]
    start = start_rate(runs, config.confidence, diverged)
    return ArmResult(name, runs, {}, {}, {}, claim, Difference(), Difference(), {}, reached, start)


@dataclass(frozen=True)
class Comparison:
    """The baseline and its arms. Its subclasses, one a design, hold the effects.

    `read` is what was read; `resolve` is the difference in percentage points for which the number of runs is
    asked.
    """

    read: Arms
    title: str
    baseline: ArmResult
    baseline_rule: str
    arms: list[ArmResult]
    excluded: list[ExcludedRun]
    record: StudyRecord | None
    training_error: float
    confidence: float
    resolve: float | None

    @property
    def all_variants(self) -> list[ArmResult]:
        """The baseline, then the arms."""
        return [self.baseline, *self.arms]

    @property
    def networks_differ(self) -> bool:
        """Whether the arms are not all the same network. The forms of AlexNet count as one."""
        names = {"alexnet" if is_alexnet(arm.network) else arm.network for arm in self.all_variants}
        return len(names) > 1

    @property
    def other_metrics(self) -> list[str]:
        """The names of all metrics but the validation errors that a run has."""
        return list(
            dict.fromkeys(name for arm in self.all_variants for run in arm.runs for name in run.other_metrics)
        )

    @property
    def split(self) -> str:
        """The data on which the errors were measured."""
        return f"{self.baseline.runs[0].settings.get('data.name', 'unknown')} val"


def compare(config: CompareConfig) -> Comparison:
    """Read the runs and compare them by their study's design. Raises `UserError` where that is impossible."""
    from alexnet.compare.factorial.comparison import compare_factorial  # both build on this module
    from alexnet.compare.one_at_a_time import compare_one_at_a_time

    groups = _read(config)
    if groups.record is not None and groups.record.design in TWO_LEVEL:
        return compare_factorial(groups, config)
    return compare_one_at_a_time(groups, config)


def _read(config: CompareConfig) -> Arms:
    if config.study is not None:
        folder = Path(config.study).expanduser()
        if config.add is None:
            return read_folder(folder, config.baseline)
        return with_baseline(add_results(read_folder(folder, None), config.add), config.baseline)
    assert config.runs is not None
    return read_runs(config.runs, config.baseline)


def _mean(runs: Sequence[Run], value: Callable[[Run], float | None]) -> float | None:
    values = [value(run) for run in runs]
    known = [number for number in values if number is not None]
    return fmean(known) if known and len(known) == len(values) else None
