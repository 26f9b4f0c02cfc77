"""Paired differences of errors with their intervals."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray
from scipy import stats

NO_SPREAD = 1e-9  # percentage points: what rounding leaves of the difference of two equal errors

Interval = tuple[float, float]


class Significance(Enum):
    """What an interval says about a difference."""

    higher = "higher error"
    lower = "lower error"
    unresolved = "not resolved"
    one_pair = "one pair: no interval"
    no_spread = "equal differences: no interval"


@dataclass(frozen=True)
class Effect:
    """Differences arm minus baseline in percentage points, one a seed; above zero, the arm errs more."""

    differences: tuple[float, ...]
    mean: float
    interval: Interval | None
    significance: Significance

    @property
    def resolved(self) -> bool:
        """Whether there is an interval, and zero is not in it."""
        return self.significance in (Significance.higher, Significance.lower)


def paired_effect(arm: Sequence[float], baseline: Sequence[float], confidence: float) -> Effect:
    """Return the mean of the differences between pairs, with a two-sided interval by Student's t.

    `arm[i]` and `baseline[i]` are errors in percent of the same seed; there is at least one pair.
    Equal differences other than zero give no interval: errors are counts of images, so that
    few pairs are easily equal by chance, and an interval of no width would promise too much.
    """
    difference = np.asarray(arm, dtype=float) - np.asarray(baseline, dtype=float)
    mean = float(difference.mean())
    interval = None
    if len(difference) < 2:
        significance = Significance.one_pair
    elif np.ptp(difference) <= NO_SPREAD:
        zero = abs(mean) <= NO_SPREAD
        interval = (0.0, 0.0) if zero else None
        significance = Significance.unresolved if zero else Significance.no_spread
    else:
        low, high = stats.ttest_rel(arm, baseline).confidence_interval(confidence)
        interval = (float(low), float(high))
        significance = _significance(*interval)
    return Effect(tuple(difference.tolist()), mean, interval, significance)


def half_width(values: NDArray[np.float64], confidence: float) -> float:
    """Return half of the width of Student's interval of the mean of two or more values."""
    low, high = stats.ttest_1samp(values, 0).confidence_interval(confidence)
    return float(high - low) / 2


def _significance(low: float, high: float) -> Significance:
    if low <= 0 <= high:
        return Significance.unresolved
    return Significance.higher if low > 0 else Significance.lower
