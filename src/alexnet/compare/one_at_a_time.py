"""A comparison of a baseline with arms that each change one factor: differences, paired and pooled."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from alexnet.compare.arms import Arms, differences, without_runs
from alexnet.compare.comparison import ArmResult, Comparison, Difference, plain_result
from alexnet.compare.effects import Effect, paired_effect, pooled_effect, probability_better
from alexnet.compare.family_wise import FamilyWise, family_wise
from alexnet.compare.model_diffs import factors_within_models, reported_changes
from alexnet.compare.pairing import Pairs, pair
from alexnet.compare.pooling import Pool, pool
from alexnet.compare.runs import NO_CLAIM, ExcludedRun, Run
from alexnet.compare.titles import title
from alexnet.config import CompareConfig
from alexnet.config.hashing import is_under

Value = Callable[[Run], float | None]


def top1_error(run: Run) -> float:
    """Return a run's top-1 error in percent."""
    return run.top1_error


def top5_error(run: Run) -> float | None:
    """Return a run's top-5 error in percent; None with too few classes."""
    return run.top5_error


def ten_crops_error(run: Run) -> float | None:
    """Return a run's top-1 error on ten crops in percent; None where evaluate.py has not measured it."""
    return run.crop_errors.ten_top1 if run.crop_errors else None


@dataclass(frozen=True)
class OneAtATime(Comparison):
    """The baseline and its arms, the largest difference in top-1 error first, then those that never started.

    `pool`, `top5_pool` and `ten_crops_pool` (top-1) are the groups whose variance of that error is pooled,
    or why there are none.
    """

    pool: Pool
    top5_pool: Pool
    ten_crops_pool: Pool
    family: FamilyWise


def compare_one_at_a_time(groups: Arms, config: CompareConfig) -> OneAtATime:
    """Compare every arm with the baseline. Raises `UserError` where they cannot be compared."""
    paired = pair(groups, config.allow)
    usual, diverged = groups.baseline, groups.diverged
    baseline = plain_result(usual, _by_seed(groups.arms[usual]), NO_CLAIM, config, diverged[usual])
    runs = {name: _by_seed(groups.arms[name]) for name in paired}
    unstable = {None if arm == usual else arm for arm, count in diverged.items() if count}
    pool_of = partial(pool, runs, baseline.runs, diverged=unstable)
    pools = (pool_of(top1_error), pool_of(top5_error), pool_of(ten_crops_error))
    factors = factors_within_models(arm[0].settings for arm in [baseline.runs, *runs.values()])
    arms = []
    for name, pairs in paired.items():
        arm = _with_factor(
            plain_result(name, runs[name], runs[name][0].claim, config, diverged[name]),
            baseline,
            groups,
            factors,
        )
        arms.append(_with_differences(arm, baseline, pairs, pools, config.confidence))
    arms.sort(key=lambda arm: (arm.top1 is None, -arm.top1.mean if arm.top1 else 0.0, arm.name))
    return OneAtATime(
        groups,
        title(
            groups.subject,
            [*baseline.runs, *(run for arm in arms for run in arm.runs)],
            {key for arm in arms for key in arm.reported},
        ),
        baseline,
        groups.baseline_rule,
        arms,
        groups.excluded + without_runs(groups) + _without_partner(arms, baseline),
        groups.record,
        config.training_error,
        config.confidence,
        config.resolve,
        *pools,
        family_wise(pools[0], config.confidence),
    )


def _by_seed(runs: Mapping[int, Run]) -> list[Run]:
    return [run for _, run in sorted(runs.items())]


def _with_factor(arm: ArmResult, baseline: ArmResult, groups: Arms, factors: frozenset[str]) -> ArmResult:
    """Add what sets the arm apart from the baseline: its factor, and what a pilot chose for it."""
    changed = differences(baseline.runs[0].settings, arm.runs[0].settings)
    tuned = {key: pair for key, pair in changed.items() if is_under(key, groups.tuned_keys)}
    factor = {key: pair for key, pair in changed.items() if key not in tuned}
    reported = reported_changes(factor, arm.runs[0].settings, factors)
    return replace(arm, factor=factor, reported=reported, tuned=tuned)


def _with_differences(
    arm: ArmResult, baseline: ArmResult, pairs: Pairs, pools: tuple[Pool, Pool, Pool], confidence: float
) -> ArmResult:
    """Add all differences from the baseline. Runs that did not start are in none of them."""
    started = [both for both in pairs if all(run.started for run in both)]
    errors = [[run.top1_error for run in one.started] for one in (arm, baseline)]
    return replace(
        arm,
        top1_difference=_difference(arm.name, started, top1_error, pools[0], confidence),
        top5_difference=_difference(arm.name, started, top5_error, pools[1], confidence),
        other_effects=_other_effects(started, confidence),
        ten_crops_difference=_difference(arm.name, started, ten_crops_error, pools[2], confidence),
        pairs=len(started),
        probability_better=probability_better(*errors) if all(errors) else None,
    )


def _difference(name: str, pairs: Pairs, error: Value, pooled: Pool, confidence: float) -> Difference:
    difference = Difference(_paired(pairs, error, confidence))
    if pooled.variance is None or name not in pooled.arms:
        return difference
    effect = pooled_effect(pooled.arms[name], pooled.baseline, pooled.variance, confidence)
    return replace(difference, pooled=effect)


def _paired(pairs: Pairs, value: Value, confidence: float) -> Effect | None:
    """Return the paired effect; None where a run lacks the value, as with too few classes for a top-5."""
    values = [(value(arm), value(baseline)) for arm, baseline in pairs]
    known = [(arm, baseline) for arm, baseline in values if arm is not None and baseline is not None]
    if not known or len(known) < len(values):
        return None
    return paired_effect([arm for arm, _ in known], [baseline for _, baseline in known], confidence)


def _other_effects(pairs: Pairs, confidence: float) -> dict[str, Effect]:
    """Return the paired effects on the metrics that all runs of both arms have."""
    names = dict.fromkeys(name for arm, _ in pairs for name in arm.other_metrics)
    effects = {name: _paired(pairs, _metric(name), confidence) for name in names}
    return {name: effect for name, effect in effects.items() if effect is not None}


def _metric(name: str) -> Value:
    return lambda run: run.other_metrics.get(name)


def _without_partner(arms: Sequence[ArmResult], baseline: ArmResult) -> list[ExcludedRun]:
    """Return the runs that are in no estimate: those without a partner, where seeds are paired."""
    seeds = {run.seed for run in baseline.runs}
    return [
        ExcludedRun(f"{arm.name} seed={run.seed}", f"{baseline.name} has no completed run of this seed")
        for arm in arms
        if arm.top1_difference.pooled is None
        for run in arm.runs
        if run.seed not in seeds
    ]
