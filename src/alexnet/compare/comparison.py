"""A whole comparison: every arm's effect, cost and claim, ready to be told."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alexnet.compare.arms import differences, label, read_runs, read_study
from alexnet.compare.effects import Effect, paired_effect
from alexnet.compare.grids import Grid, grid_notes
from alexnet.compare.pairing import Pairs, pair, precisions_differ, same_code
from alexnet.compare.runs import Claim, LeftOut, Run
from alexnet.config import CompareConfig

FEW = 5  # with fewer pairs than this, Student's t is wide and the report says so


@dataclass(frozen=True)
class ArmResult:
    """One arm over its paired runs. Errors are percentages; the baseline has no effect and no factor."""

    name: str
    runs: list[Run]
    factor: dict[str, tuple[Any, Any]]
    claim: Claim
    top1: Effect | None
    top5: Effect | None
    epochs_to_error: list[int | None]

    @property
    def factor_text(self) -> str:
        """What the arm changes, as it would be typed."""
        return label(self.factor) or "nothing"

    def mean(self, value: Callable[[Run], float | None]) -> float | None:
        """Mean over the runs; None where a run does not have it."""
        values = [value(run) for run in self.runs]
        known = [each for each in values if each is not None]
        return fmean(known) if known and len(known) == len(values) else None

    @property
    def epochs_needed(self) -> float | None:
        """Mean number of epochs to the training error asked for; None unless every run reached it."""
        reached = [epoch for epoch in self.epochs_to_error if epoch is not None]
        return fmean(reached) if reached and len(reached) == len(self.epochs_to_error) else None

    def curve(self, metric: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Epochs, and the metric as [runs, epochs], where every run has it."""
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
    left_out: list[LeftOut]
    grids: list[Grid]
    training_error: float
    confidence: float

    @property
    def everything(self) -> list[ArmResult]:
        """The baseline, then the arms."""
        return [self.baseline, *self.arms]

    @property
    def split(self) -> str:
        """What the errors were measured on."""
        return f"{self.baseline.runs[0].settings.get('data.name', 'unknown')} val"

    def notes(self) -> list[str]:
        """What a reader must know before believing the numbers."""
        first, runs = self.baseline.runs[0], [run for arm in self.everything for run in arm.runs]
        notes = []
        pairs = min(len(arm.runs) for arm in self.arms)
        if pairs < FEW:
            notes.append(
                f"Few seeds: an arm has only {pairs} pair{'s' if pairs > 1 else ''}. Intervals from fewer"
                f" than {FEW} pairs are wide, and rest on differences being normally distributed."
            )
        if len(self.arms) > 1:
            expected = len(self.arms) * (1 - self.confidence)
            notes.append(
                f"{len(self.arms)} arms, each with its own {self.confidence:.0%} interval: where no arm had"
                f" any effect, about {expected:.2g} of them would still be called resolved."
            )
        shown = {arm.name for arm in self.everything}
        notes += grid_notes([grid for grid in self.grids if grid.arm in shown])
        stuck = [(arm.name, run.seed) for arm in self.everything for run in arm.runs if not run.learned]
        if stuck:
            named = ", ".join(f"{name} seed={seed}" for name, seed in stuck)
            notes.append(
                f"{len(stuck)} of the {len(runs)} runs ended where guessing is ({named}). Their differences"
                " tell whether training starts, not what the factor is worth once it has: see model.init and"
                " optimizer.lr."
            )
        for arm in self.arms:
            if len(arm.factor) > 1:
                notes.append(
                    f"{arm.name} changes {len(arm.factor)} keys; the difference is that of all together."
                )
        if any(run.data_fingerprint != first.data_fingerprint for run in runs):
            notes.append("The runs differ in their data, as allowed.")
        if any(run.epochs != first.epochs for run in runs):
            notes.append("The runs differ in how long they trained, as allowed.")
        if any(precisions_differ(run, first) for run in runs):
            notes.append("The runs differ in their precision, as allowed.")
        if not all(same_code(run.code, first.code) for run in runs):
            notes.append("The runs differ in their code, as allowed.")
        if first.code.commit is None:
            notes.append("These runs do not say with which code they were made.")
        for what, values in (
            ("hardware, so that their speeds say little", {run.hardware for run in runs}),
            ("versions of torch", {str(run.torch) for run in runs}),
        ):
            if len(values) > 1:
                notes.append(f"The runs differ in their {what}: {'; '.join(sorted(values))}.")
        return notes


def compare(config: CompareConfig) -> Comparison:
    """Read the runs and work everything out. Raises `UserError` where they cannot be compared."""
    if config.study is not None:
        found = read_study(Path(config.study).expanduser(), config.baseline)
    else:
        assert config.runs is not None
        found = read_runs(config.runs, config.baseline)
    paired = pair(found, config.allow)
    baseline_runs = [run for _, run in sorted(found.arms[found.baseline].items())]
    arms = [_arm(name, pairs, config) for name, pairs in paired.items()]
    return Comparison(
        found.title,
        ArmResult(
            found.baseline, baseline_runs, {}, Claim(), None, None, _epochs_to_error(baseline_runs, config)
        ),
        found.baseline_rule,
        sorted(arms, key=lambda arm: (-arm.top1.mean if arm.top1 else 0.0, arm.name)),
        found.left_out,
        found.grids,
        config.training_error,
        config.confidence,
    )


def _arm(name: str, pairs: Pairs, config: CompareConfig) -> ArmResult:
    runs, baseline = [run for run, _ in pairs], [run for _, run in pairs]
    return ArmResult(
        name,
        runs,
        differences(baseline[0].settings, runs[0].settings),
        runs[0].claim,
        _effect([run.top1_error for run in runs], [run.top1_error for run in baseline], config.confidence),
        _effect([run.top5_error for run in runs], [run.top5_error for run in baseline], config.confidence),
        _epochs_to_error(runs, config),
    )


def _effect(arm: list[Any], baseline: list[Any], confidence: float) -> Effect | None:
    """None where a run lacks the error: few classes have no top-5."""
    return None if None in (*arm, *baseline) else paired_effect(arm, baseline, confidence)


def _epochs_to_error(runs: list[Run], config: CompareConfig) -> list[int | None]:
    return [run.epochs_to(config.training_error) for run in runs]
