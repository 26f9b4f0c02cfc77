"""Intervals that hold for all arms of a comparison at once: Dunnett's."""

import warnings
from dataclasses import dataclass, field

import numpy as np
from scipy import stats

from alexnet.compare.effects import Interval
from alexnet.compare.pooling import Pool, left_out_text

RANDOM_STATES = (0, 1, 2)  # scipy's critical value is found by quasi-Monte Carlo, and may not converge


@dataclass(frozen=True)
class FamilyWise:
    """Intervals of the differences arm minus baseline in percentage points, by arm; or why there are none.

    With the confidence asked for, all of them hold the true differences at once.
    """

    intervals: dict[str, Interval] = field(default_factory=dict)
    refusal: str | None = None

    def resolved(self, arm: str) -> bool:
        """Return whether an arm has an interval, and zero is outside of it."""
        low, high = self.intervals.get(arm, (0.0, 0.0))
        return not low <= 0 <= high


def family_wise(pool: Pool, confidence: float) -> FamilyWise:
    """Compare the errors of all pooled arms with the baseline's by Dunnett's procedure.

    It takes runs as independent and their variance as the same everywhere; where that cannot hold, or
    cannot be checked, nothing is pooled, and there are no intervals. Dunnett, "A multiple comparison
    procedure for comparing several treatments with a control", Journal of the American Statistical
    Association 50 (1955).
    """
    if pool.refusal:
        return FamilyWise(refusal=pool.refusal)
    if len(pool.arms) < 2:
        return FamilyWise(refusal=" ".join(filter(None, ["there is only one arm", left_out_text(pool)])))
    for state in RANDOM_STATES:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            rng = np.random.default_rng(state)
            result = stats.dunnett(*pool.arms.values(), control=pool.baseline, rng=rng)
            interval = result.confidence_interval(confidence)
        if not caught:
            ends = zip(interval.low.tolist(), interval.high.tolist(), strict=True)
            return FamilyWise(dict(zip(pool.arms, ends, strict=True)))
    return FamilyWise(refusal=f"their computation did not converge at a confidence of {confidence:g}")
