"""How many epochs arms take to a training error, and the ratio to the baseline's (paper §3.1, figure 1)."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import fmean, stdev

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from alexnet.compare.comparison import ArmResult, Comparison
from alexnet.compare.effects import Interval
from alexnet.compare.runs import NOISE_FREE_ERROR


@dataclass(frozen=True)
class Ratio:
    """The ratio of two means; `interval` is None where the runs give none."""

    value: float
    interval: Interval | None


@dataclass(frozen=True)
class Convergence:
    """The epochs that an arm's runs took to the training error, those that reached it.

    `ratio` is that of its mean to the baseline's; None for the baseline, and where a run of either arm did
    not reach the error.
    """

    arm: ArmResult
    epochs: list[float]
    ratio: Ratio | None

    @property
    def mean(self) -> float | None:
        """The mean over the runs that reached it; None where none did."""
        return fmean(self.epochs) if self.epochs else None

    @property
    def deviation(self) -> float | None:
        """The standard deviation over the runs that reached it; None for fewer than two."""
        return stdev(self.epochs) if len(self.epochs) > 1 else None


def convergence(comparison: Comparison) -> list[Convergence]:
    """Return how fast the baseline and each arm converge; nothing where their runs did not measure it."""
    if not all(run.metrics.get(NOISE_FREE_ERROR) for arm in comparison.all_variants for run in arm.runs):
        return []
    baseline = _epochs(comparison.baseline)
    found = []
    for arm in comparison.all_variants:
        epochs, ratio = _epochs(arm), None
        all_reached = len(epochs) == len(arm.runs) and len(baseline) == len(comparison.baseline.runs)
        if arm is not comparison.baseline and all_reached:
            ratio = ratio_of_means(epochs, baseline, comparison.confidence)
        found.append(Convergence(arm, epochs, ratio))
    return found


def _epochs(arm: ArmResult) -> list[float]:
    return [epochs for epochs in arm.epochs_to_error if epochs is not None]


def ratio_of_means(first: Sequence[float], second: Sequence[float], confidence: float) -> Ratio:
    """Return the ratio of the means of two independent samples, with Fieller's interval (1954).

    It holds the ratios r for which Student's t does not tell mean(first) from r mean(second), with Welch's
    degrees of freedom at the ratio found. There is no interval for single values, equal values, or a second
    mean that t does not tell from zero.
    """
    ratio = fmean(first) / fmean(second)
    if min(len(first), len(second)) < 2:
        return Ratio(ratio, None)
    errors = [float(np.var(values, ddof=1)) / len(values) for values in (first, ratio * np.asarray(second))]
    total = sum(errors)
    if total == 0:
        return Ratio(ratio, None)
    parts = zip(errors, (first, second), strict=True)
    freedom = total**2 / sum(error**2 / (len(values) - 1) for error, values in parts)
    t = float(stats.t.ppf((1 + confidence) / 2, freedom))
    mean = fmean(second)
    variances = errors[0], errors[1] / ratio**2
    g = t**2 * variances[1] / mean**2
    if g >= 1:
        return Ratio(ratio, None)
    half = t / mean * sqrt(variances[0] * (1 - g) + ratio**2 * variances[1])
    return Ratio(ratio, ((ratio - half) / (1 - g), (ratio + half) / (1 - g)))


def epochs_by_error(arm: ArmResult, errors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the epochs after which each run had at most each of `errors`, (runs, errors); NaN: never."""
    return np.array([[run.epochs_to(error) for error in errors] for run in arm.runs], dtype=float)
