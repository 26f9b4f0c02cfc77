"""Differences of errors with their intervals: paired by seed, and with a variance pooled over arms."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from math import sqrt

import numpy as np
from numpy.typing import NDArray
from scipy import stats

NO_SPREAD = 1e-9  # percentage points: what rounding leaves of the difference of two equal errors

Interval = tuple[float, float]


class Significance(Enum):
    """What an interval says about a difference, or why there is no interval."""

    higher = "higher error"
    lower = "lower error"
    unresolved = "not resolved"
    one_pair = "one pair: no interval"
    no_spread = "no spread: no interval"
    no_freedom = "no replicates: no interval"


@dataclass(frozen=True)
class Effect:
    """A mean difference in percentage points, arm minus baseline; above zero, the arm errs more.

    `differences` are those of the pairs, one a seed; empty where seeds are not paired.
    """

    differences: tuple[float, ...]
    mean: float
    interval: Interval | None
    significance: Significance

    @property
    def resolved(self) -> bool:
        """Whether there is an interval, and zero is not in it."""
        return self.significance in (Significance.higher, Significance.lower)


@dataclass(frozen=True)
class PooledVariance:
    """The variance within groups of runs, taken to be the same in all of them.

    `deviation` is its square root in percentage points, `freedom` its degrees of freedom.
    """

    deviation: float
    freedom: int


def paired_effect(arm: Sequence[float], baseline: Sequence[float], confidence: float) -> Effect:
    """Return the mean of the differences between pairs, with a two-sided interval by Student's t.

    `arm[i]` and `baseline[i]` are errors in percent of the same seed; there is at least one pair.
    Equal differences give no interval, zero or not: errors are counts of images, so that few pairs are
    easily equal by chance, and an interval of no width would promise too much.
    """
    difference = np.asarray(arm, dtype=float) - np.asarray(baseline, dtype=float)
    mean = float(difference.mean())
    interval = None
    if len(difference) < 2:
        significance = Significance.one_pair
    elif np.ptp(difference) <= NO_SPREAD:
        significance = Significance.no_spread
    else:
        low, high = stats.ttest_rel(arm, baseline).confidence_interval(confidence)
        interval = (float(low), float(high))
        significance = interval_significance(interval)
    return Effect(tuple(difference.tolist()), mean, interval, significance)


def pooled_variance(groups: Sequence[NDArray[np.float64]]) -> PooledVariance:
    """Return the variance within groups; those of a single value add nothing. None has none: ValueError."""
    freedom = sum(len(group) - 1 for group in groups)
    if freedom < 1:
        raise ValueError("no group has two values")
    squares = sum(float(((group - group.mean()) ** 2).sum()) for group in groups)
    return PooledVariance(sqrt(squares / freedom), freedom)


def pooled_effect(
    arm: NDArray[np.float64], baseline: NDArray[np.float64], variance: PooledVariance, confidence: float
) -> Effect:
    """Return the difference of the means of all runs, with a two-sided interval by Student's t.

    Runs are taken to be independent, with the `variance` of all groups.
    """
    mean = float(arm.mean() - baseline.mean())
    half = stats.t.ppf((1 + confidence) / 2, variance.freedom) * variance.deviation
    half *= sqrt(1 / len(arm) + 1 / len(baseline))
    interval = (mean - float(half), mean + float(half))
    return Effect((), mean, interval, interval_significance(interval))


def probability_better(arm: Sequence[float], baseline: Sequence[float]) -> float:
    """Return the share of pairs of an arm's run and a baseline's in which the arm errs less; ties are halves.

    It is Mann and Whitney's U, over the number of pairs.
    """
    u = stats.mannwhitneyu(baseline, arm).statistic
    return float(u) / (len(arm) * len(baseline))


def half_width(values: NDArray[np.float64], confidence: float) -> float:
    """Return half of the width of Student's interval of the mean of two or more values."""
    low, high = stats.ttest_1samp(values, 0).confidence_interval(confidence)
    return float(high - low) / 2


def interval_significance(interval: Interval) -> Significance:
    """Return whether an interval is above zero, below it, or holds it."""
    low, high = interval
    if low <= 0 <= high:
        return Significance.unresolved
    return Significance.higher if low > 0 else Significance.lower
