"""Paired differences of errors with their intervals."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray
from scipy import stats


class Significance(Enum):
    """What a difference allows to say."""

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
    interval: tuple[float, float] | None
    verdict: Significance

    @property
    def n(self) -> int:
        """Number of pairs."""
        return len(self.differences)

    @property
    def resolved(self) -> bool:
        """Whether there is an interval, and zero is not in it."""
        return self.verdict in (Significance.higher, Significance.lower)


def paired_effect(arm: Sequence[float], baseline: Sequence[float], confidence: float) -> Effect:
    """Mean of the differences between pairs, with a two-sided interval by Student's t.

    `arm[i]` and `baseline[i]` are errors in percent of the same seed; there is at least one pair.
    Equal differences other than zero give no interval: errors are counts of images, so that
    few pairs are easily equal by chance, and an interval of no width would promise too much.
    """
    difference = np.asarray(arm, dtype=float) - np.asarray(baseline, dtype=float)
    pairs, mean = len(difference), float(difference.mean())
    interval = None
    if pairs < 2:
        verdict = Significance.one_pair
    elif np.ptp(difference) <= 1e-9:  # 1e-9 points: rounding of the subtraction
        flat = abs(mean) <= 1e-9
        interval = (0.0, 0.0) if flat else None
        verdict = Significance.unresolved if flat else Significance.no_spread
    else:
        half = half_width(difference, confidence)
        interval = (mean - half, mean + half)
        verdict = _significance(*interval)
    return Effect(tuple(difference.tolist()), mean, interval, verdict)


def half_width(values: NDArray[np.float64], confidence: float) -> float:
    """How far the interval of the mean of two or more values goes to each side, by Student's t."""
    error = values.std(ddof=1) / np.sqrt(len(values))
    return float(stats.t.ppf((1 + confidence) / 2, len(values) - 1) * error)


def _significance(low: float, high: float) -> Significance:
    if low <= 0 <= high:
        return Significance.unresolved
    return Significance.higher if low > 0 else Significance.lower
