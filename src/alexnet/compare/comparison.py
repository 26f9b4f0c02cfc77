"""A whole comparison: every arm's effect, cost and claim, ready to be told."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alexnet.compare.arms import differences, format_changes, read_runs, read_study
from alexnet.compare.effects import Effect, paired_effect
from alexnet.compare.grids import Grid, grid_notes
from alexnet.compare.model_diffs import NAME, Changes, factors_within_models, is_alexnet, reported_changes
from alexnet.compare.pairing import Pairs, pair, precisions_differ, same_code
from alexnet.compare.runs import Claim, ExcludedRun, Run
from alexnet.config import CompareConfig

FEW = 5  # with fewer pairs than this, Student's t is wide and the report says so


@dataclass(frozen=True)
class ArmResult:
    """One arm over its paired runs. Errors are percentages; the baseline has no effect and no factor."""

    name: str
    runs: list[Run]
    factor: Changes
    told: Changes  # of the factor, what the name of another network does not say
    claim: Claim
    top1: Effect | None
    top5: Effect | None
    epochs_to_error: list[int | None]

    @property
    def factor_text(self) -> str:
        """What the arm changes, as it would be typed; of another network, its name and what else differs."""
        return format_changes(self.told) or "nothing"

    @property
    def network(self) -> str:
        """The name of its model, or of its hand-made features."""
        return self.runs[0].network

    @property
    def has_epochs(self) -> bool:
        """Whether it learns in epochs; hand-made features with a linear classifier do not."""
        return self.runs[0].epochs is not None

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
    excluded: list[ExcludedRun]
    grids: list[Grid]
    training_error: float
    confidence: float

    @property
    def all_variants(self) -> list[ArmResult]:
        """The baseline, then the arms."""
        return [self.baseline, *self.arms]

    @property
    def networks_differ(self) -> bool:
        """Whether the arms are not all the same network. The forms of AlexNet are one."""
        names = {"alexnet" if is_alexnet(arm.network) else arm.network for arm in self.all_variants}
        return len(names) > 1

    @property
    def epochs(self) -> int | None:
        """How long the arms that learn in epochs trained."""
        return next((arm.runs[0].epochs for arm in self.all_variants if arm.has_epochs), None)

    @property
    def split(self) -> str:
        """What the errors were measured on."""
        return f"{self.baseline.runs[0].settings.get('data.name', 'unknown')} val"

    def notes(self) -> list[str]:
        """What a reader must know before believing the numbers."""
        first, runs = self.baseline.runs[0], [run for arm in self.all_variants for run in arm.runs]
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
        shown = {arm.name for arm in self.all_variants}
        notes += grid_notes([grid for grid in self.grids if grid.arm in shown])
        stuck = [(arm.name, run.seed) for arm in self.all_variants for run in arm.runs if not run.learned]
        if stuck:
            named = ", ".join(f"{name} seed={seed}" for name, seed in stuck)
            notes.append(
                f"{len(stuck)} of the {len(runs)} runs ended where guessing is ({named}). Their differences"
                " tell whether training starts, not what the factor is worth once it has: see model.init and"
                " optimizer.lr."
            )
        notes += self._notes_on_factors()
        if any(run.data_fingerprint != first.data_fingerprint for run in runs):
            notes.append("The runs differ in their data, as allowed.")
        if len({run.epochs for run in runs} - {None}) > 1:
            notes.append("The runs differ in how long they trained, as allowed.")
        trained = [run for run in runs if run.epochs is not None]
        if any(precisions_differ(run, trained[0]) for run in trained):
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

    def _notes_on_factors(self) -> list[str]:
        notes = []
        others = [arm for arm in self.arms if NAME in arm.told]
        if others:
            named = ", ".join(dict.fromkeys(arm.network for arm in (self.baseline, *others)))
            notes.append(
                f"Not one factor: these are different models ({named}). A difference is that of everything"
                " which sets two of them apart; the report lists it under Settings."
            )
        for arm in self.arms:
            keys = [key for key in arm.told if key != NAME]
            if arm in others and keys:
                notes.append(f"{arm.name} is another model, and differs in {', '.join(keys)} as well.")
            elif len(keys) > 1:
                notes.append(f"{arm.name} changes {len(keys)} keys; the difference is that of all together.")
        without = [arm.name for arm in self.all_variants if not arm.has_epochs]
        if without:
            notes.append(
                f"Without epochs: {', '.join(without)}. Images/s are there training images over the time to"
                " compute their features and to fit the classifier."
            )
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
    counted = [baseline_runs[0], *(pairs[0][0] for pairs in paired.values())]
    factors = factors_within_models(run.settings for run in counted)
    arms = [_arm(name, pairs, config, factors) for name, pairs in paired.items()]
    return Comparison(
        found.title,
        ArmResult(
            found.baseline,
            baseline_runs,
            {},
            {},
            Claim(),
            None,
            None,
            _epochs_to_error(baseline_runs, config),
        ),
        found.baseline_rule,
        sorted(arms, key=lambda arm: (-arm.top1.mean if arm.top1 else 0.0, arm.name)),
        found.excluded,
        found.grids,
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
        _epochs_to_error(runs, config),
    )


def _effect(arm: list[Any], baseline: list[Any], confidence: float) -> Effect | None:
    """None where a run lacks the error: few classes have no top-5."""
    return None if None in (*arm, *baseline) else paired_effect(arm, baseline, confidence)


def _epochs_to_error(runs: list[Run], config: CompareConfig) -> list[int | None]:
    return [run.epochs_to(config.training_error) for run in runs]
