"""Intervals that hold for all arms of a comparison at once: Dunnett's."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy import stats

from alexnet.compare.effects import NO_SPREAD, Interval
from alexnet.compare.runs import Run

EQUAL_VARIANCES = 0.05  # above this p-value of Levene's test, equal variances are not rejected
RANDOM_STATES = (0, 1, 2)  # scipy's critical value is found by quasi-Monte Carlo, and may not converge


@dataclass(frozen=True)
class FamilyWise:
    """Intervals of the differences arm minus baseline in percentage points, by arm; or why there are none.

    With the confidence asked for, all of them hold the true differences at once.
    """

    intervals: dict[str, Interval] = field(default_factory=dict)
    refusal: str | None = None

    def resolved(self, arm: str) -> bool:
        """Return whether zero is outside of an arm's interval."""
        low, high = self.intervals[arm]
        return not low <= 0 <= high


def family_wise(arms: Mapping[str, Sequence[Run]], baseline: Sequence[Run], confidence: float) -> FamilyWise:
    """Compare the top-1 errors of all arms with the baseline's by Dunnett's procedure.

    It takes runs as independent and their variance as the same everywhere. Where that cannot hold, or
    cannot be checked, there are no intervals. Dunnett, "A multiple comparison procedure for comparing
    several treatments with a control", Journal of the American Statistical Association 50 (1955).
    """
    if refusal := _refusal(arms, baseline):
        return FamilyWise(refusal=refusal)
    errors = [_errors(runs) for runs in arms.values()]
    for state in RANDOM_STATES:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            result = stats.dunnett(*errors, control=_errors(baseline), rng=np.random.default_rng(state))
            interval = result.confidence_interval(confidence)
        if not caught:
            ends = zip(interval.low.tolist(), interval.high.tolist(), strict=True)
            return FamilyWise(dict(zip(arms, ends, strict=True)))
    return FamilyWise(refusal=f"their computation does not converge at a confidence of {confidence:g}")


def _refusal(arms: Mapping[str, Sequence[Run]], baseline: Sequence[Run]) -> str | None:
    """Return the first condition of Dunnett's procedure that the runs do not meet; None if they meet all."""
    if len(arms) < 2:
        return "there is only one arm"
    groups = {"the baseline": baseline, **arms}
    if single := [name for name, runs in groups.items() if len(runs) < 2]:
        return f"a single run has no spread ({', '.join(single)})"
    if at_chance := [name for name, runs in groups.items() if not all(run.started for run in runs)]:
        return f"runs ended at chance ({', '.join(at_chance)})"
    errors = [_errors(runs) for runs in groups.values()]
    # deviations that are equal within each group, as those of two runs always are, leave nothing to divide by
    if all(np.ptp(abs(group - np.median(group))) <= NO_SPREAD for group in errors):
        return "whether the arms' variances are equal cannot be tested; that takes three seeds or more"
    p = float(stats.levene(*errors).pvalue)
    if p <= EQUAL_VARIANCES:
        return f"the arms' variances are not equal (Levene's test, p = {p:.2g})"
    return None


def _errors(runs: Sequence[Run]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.array([run.top1_error for run in runs])
