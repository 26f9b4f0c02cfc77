"""A whole comparison: the effect, cost and claim of every arm, as numbers."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alexnet.compare.arms import differences, format_changes
from alexnet.compare.effects import Effect, paired_effect
from alexnet.compare.family_wise import FamilyWise, family_wise
from alexnet.compare.model_diffs import Changes, factors_within_models, is_alexnet, reported_changes
from alexnet.compare.pairing import Pairs, pair
from alexnet.compare.run_pattern import read_runs
from alexnet.compare.runs import NO_CLAIM, ExcludedRun, Run
from alexnet.compare.study_folder import read_folder
from alexnet.config import ClaimConfig, CompareConfig


@dataclass(frozen=True)
class ArmResult:
    """One arm over its paired runs. Errors are percentages; the baseline has no effect and no factor."""

    name: str
    runs: list[Run]
    factor: Changes
    reported: Changes  # the part of the factor that the name of another network does not imply
    claim: ClaimConfig
    top1: Effect | None
    top5: Effect | None
    other_effects: dict[str, Effect]  # of the other metrics, by name, in their own units
    epochs_to_error: list[int | None]

    @property
    def factor_text(self) -> str:
        """What the arm changes, as it would be typed; for another network, its name and what else differs."""
        return format_changes(self.reported) or "nothing"

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
        values = [value(run) for run in self.runs]
        known = [number for number in values if number is not None]
        return fmean(known) if known and len(known) == len(values) else None

    def mean_metric(self, name: str) -> float | None:
        """Return the mean of one of `Run.other_metrics`; None where a run does not have it."""
        return self.mean(lambda run: run.other_metrics.get(name))

    @property
    def epochs_needed(self) -> float | None:
        """Mean number of epochs to the training error asked for; None unless every run reached it."""
        reached = [epoch for epoch in self.epochs_to_error if epoch is not None]
        return fmean(reached) if reached and len(reached) == len(self.epochs_to_error) else None

    def curve(self, metric: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the epochs in which every run has the metric, and its values as [runs, epochs]."""
        columns = [run.metrics.get(metric, []) for run in self.runs]
        length = min(map(len, columns))
        values = np.array([column[:length] for column in columns])
        known = np.isfinite(values).all(axis=0)
        epochs = np.array(self.runs[0].metrics.get("epoch", [])[:length])
        return epochs[known], values[:, known]


@dataclass(frozen=True)
class Comparison:
    """The baseline and its arms, the largest difference in top-1 error first."""

    title: str
    baseline: ArmResult
    baseline_rule: str
    arms: list[ArmResult]
    family: FamilyWise
    excluded: list[ExcludedRun]
    training_error: float
    confidence: float

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
    def epochs(self) -> int | None:
        """How long the arms that learn in epochs trained."""
        return next((arm.runs[0].epochs for arm in self.all_variants if arm.has_epochs), None)

    @property
    def split(self) -> str:
        """The data on which the errors were measured."""
        return f"{self.baseline.runs[0].settings.get('data.name', 'unknown')} val"


def compare(config: CompareConfig) -> Comparison:
    """Read the runs and compare them. Raises `UserError` where they cannot be compared."""
    if config.study is not None:
        groups = read_folder(Path(config.study).expanduser(), config.baseline)
    else:
        assert config.runs is not None
        groups = read_runs(config.runs, config.baseline)
    paired = pair(groups, config.allow)
    baseline_runs = [run for _, run in sorted(groups.arms[groups.baseline].items())]
    first_runs = [baseline_runs[0], *(pairs[0][0] for pairs in paired.values())]
    factors = factors_within_models(run.settings for run in first_runs)
    epochs_to_error = _epochs_to_error(baseline_runs, config)
    arms = [_arm(name, pairs, config, factors) for name, pairs in paired.items()]
    arms.sort(key=lambda arm: (-arm.top1.mean if arm.top1 else 0.0, arm.name))
    return Comparison(
        groups.title,
        ArmResult(groups.baseline, baseline_runs, {}, {}, NO_CLAIM, None, None, {}, epochs_to_error),
        groups.baseline_rule,
        arms,
        family_wise({arm.name: arm.runs for arm in arms}, baseline_runs, config.confidence),
        groups.excluded,
        config.training_error,
        config.confidence,
    )


def _arm(name: str, pairs: Pairs, config: CompareConfig, factors: frozenset[str]) -> ArmResult:
    runs, baseline = [run for run, _ in pairs], [run for _, run in pairs]
    changed = differences(baseline[0].settings, runs[0].settings)
    return ArmResult(
        name,
        runs,
        changed,
        reported_changes(changed, runs[0].settings, factors),
        runs[0].claim,
        _effect([run.top1_error for run in runs], [run.top1_error for run in baseline], config.confidence),
        _effect([run.top5_error for run in runs], [run.top5_error for run in baseline], config.confidence),
        _other_effects(runs, baseline, config.confidence),
        _epochs_to_error(runs, config),
    )


def _effect(arm: list[Any], baseline: list[Any], confidence: float) -> Effect | None:
    """Return the paired effect; None where a run lacks the error, as with too few classes for a top-5."""
    return None if None in (*arm, *baseline) else paired_effect(arm, baseline, confidence)


def _other_effects(runs: list[Run], baseline: list[Run], confidence: float) -> dict[str, Effect]:
    """Return the paired effects on the metrics that all runs of both arms have."""
    names = [
        name for name in runs[0].other_metrics if all(name in run.other_metrics for run in [*runs, *baseline])
    ]
    return {
        name: paired_effect(
            [run.other_metrics[name] for run in runs],
            [run.other_metrics[name] for run in baseline],
            confidence,
        )
        for name in names
    }


def _epochs_to_error(runs: list[Run], config: CompareConfig) -> list[int | None]:
    return [run.epochs_to(config.training_error) for run in runs]
