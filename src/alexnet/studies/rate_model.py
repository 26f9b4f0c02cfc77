"""The best rate of every combination of factors, from a pilot that ran some of them."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from alexnet.studies.pilot import RATE, round_rate
from alexnet.studies.record import Trial

STEPS = 1000  # between the lowest and the highest rate, where the lowest error is looked for
NEAR = 0.125  # of its arm's lowest measure: a run that is higher by this fraction of it counts 1/e


class RateModel:
    """The pilot's measure over the rate, for any combination of factors.

    It is a parabola over the logarithm of the rate. Its height is a combination's own; its slope is that of
    the baseline and what each factor that is changed adds to it; its curvature is that of all:

        measure = height(arm) + x * (slope + sum of slopes) + x^2 * curvature

    So every run says something about every factor. The ratios of the rates that single arms chose could not
    be multiplied instead: each choice is off by up to half a step of the grid, and these errors add up. All
    is fitted by least squares to the runs that started. Those near the lowest of their arm count most: far
    above it, where training is about to diverge, no parabola holds. Where the runs do not tell coefficients
    apart, the smallest ones are taken.
    """

    def __init__(
        self, factors: Sequence[str], arms: Mapping[str, Sequence[str]], trials: Sequence[Trial]
    ) -> None:
        """`arms` maps the name of each arm in `trials` to the factors that it changes."""
        self._factors = list(factors)
        rates = np.log([float(trial.values[RATE]) for trial in trials])
        self._middle, self._low, self._high = rates.mean(), rates.min(), rates.max()
        self._slopes, self._curvature = np.zeros(1 + len(factors)), 0.0
        known = [trial for trial in trials if trial.started and trial.measured is not None]
        if not known:
            return
        measured = np.array([trial.measured for trial in known], dtype=float)
        own = np.array([[float(trial.arm == arm) for arm in arms] for trial in known])
        levels = np.array([self._levels(arms[trial.arm]) for trial in known])
        x = np.log([[float(trial.values[RATE])] for trial in known]) - self._middle
        weights = np.sqrt(_weights(measured, own))
        design = np.hstack([own, x * levels, x**2]) * weights[:, None]
        coefficients = np.linalg.lstsq(design, measured * weights, rcond=None)[0]
        self._slopes, self._curvature = coefficients[len(arms) : -1], float(coefficients[-1])

    def best_rate(self, changed: Sequence[str]) -> float:
        """Return where the measure is lowest for an arm that changes these factors, among the rates tried."""
        x = np.linspace(self._low, self._high, STEPS) - self._middle
        curve = x * (self._slopes @ self._levels(changed)) + x**2 * self._curvature
        return round_rate(float(np.exp(x[np.argmin(curve)] + self._middle)))

    def _levels(self, changed: Sequence[str]) -> NDArray[np.float64]:
        """Return 1 for the baseline, then 1 for each factor that is changed and 0 for the others."""
        return np.array([1.0, *(float(factor in changed) for factor in self._factors)])


def _weights(measured: NDArray[np.float64], own: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the weight of each run, 1 for the lowest of its arm. `own` is [runs, arms], 1 for its arm."""
    arm = own.argmax(axis=1)
    lowest = np.array([measured[arm == one].min() for one in arm])
    return np.exp((lowest - measured) / np.where(lowest == 0, 1.0, NEAR * np.abs(lowest)))
