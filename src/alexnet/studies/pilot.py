"""The pilot of a study: the values that it tries, and the choice of the best for each arm."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from math import inf, log, sqrt
from statistics import fmean
from typing import Any

import numpy as np
from numpy.polynomial import Polynomial
from scipy import stats

from alexnet.config.study import PilotConfig
from alexnet.studies.record import TOP1_ERROR, Trial

RATE = "optimizer.lr"
SIGNIFICANCE = 0.05
LEAST_RATES = 4  # for a parabola to smooth anything
DEFAULT_FACTORS = (0.25, 0.5, 1.0, 2.0)  # of the command's rate

Values = dict[str, Any]  # of the keys that the pilot chooses


@dataclass
class Grid:
    """The grid of one arm: rates, which may go on at both ends, times the values of other keys."""

    rates: list[float]
    others: Mapping[str, Sequence[Any]] = field(default_factory=dict)

    @classmethod
    def of(cls, config: PilotConfig, rate: float) -> "Grid":
        """Return the grid that all arms begin with; `rate` is that of the command."""
        rates = config.rates or [round_rate(rate * factor) for factor in DEFAULT_FACTORS]
        return cls(sorted(rates), config.grid)

    def points(self) -> list[Values]:
        """Return all combinations of values."""
        keys = [RATE, *self.others]
        return [dict(zip(keys, values, strict=True)) for values in product(self.rates, *self.others.values())]

    def go_on(self, rate: float) -> bool:
        """Add a rate beyond `rate` if that is at an edge, in the ratio there; return whether it was."""
        low, second, *_ = self.rates
        *_, last_but_one, high = self.rates
        if rate == low:
            self.rates.insert(0, round_rate(low * low / second))
        elif rate == high:
            self.rates.append(round_rate(high * high / last_but_one))
        return rate in (low, high)


@dataclass(frozen=True)
class Outcome:
    """What the pilot found for an arm with some values, over its seeds.

    `mean` is that of what was measured in the runs that started; None if none did. `fitted` is that of a
    smooth curve through the means of all rates, None where there is none.
    """

    arm: str
    values: Values
    runs: int
    started: int
    diverged: int
    mean: float | None
    fitted: float | None = None


def summarize(trials: Iterable[Trial]) -> list[Outcome]:
    """Return an outcome for each arm and values, in the order of the trials."""
    groups: dict[tuple[str, str], list[Trial]] = {}
    for trial in trials:
        groups.setdefault((trial.arm, str(sorted(trial.values.items()))), []).append(trial)
    outcomes = [_outcome(group) for group in groups.values()]
    curves: dict[tuple[str, str], list[Outcome]] = {}
    for outcome in outcomes:
        others = {key: value for key, value in outcome.values.items() if key != RATE}
        curves.setdefault((outcome.arm, str(others)), []).append(outcome)
    fitted = {id(outcome): value for curve in curves.values() for outcome, value in _fit(curve)}
    return [replace(outcome, fitted=fitted.get(id(outcome))) for outcome in outcomes]


def choose(trials: Sequence[Trial]) -> Values:
    """Return the values of the best outcome of an arm: the most runs that started, then the lowest mean.

    A few runs on a few images have luck, which the choice would follow. So of the values that the runs do not
    tell from the best (a t-test at 5 percent, with the variance pooled over all values), those with the
    lowest `fitted` mean are chosen. Where no run started, the lowest mean of all counts. `trials` are those
    of one arm, at least one.
    """
    outcomes = summarize(trials)
    most = max(outcome.started / outcome.runs for outcome in outcomes)
    best = [outcome for outcome in outcomes if outcome.started / outcome.runs == most]
    if not most:
        return min(best, key=lambda outcome: fmean(_measured(trials, outcome))).values
    lowest = min(_started(outcome) for outcome in best)
    close = [outcome for outcome in best if _started(outcome) <= lowest + _least_difference(trials, best)]
    if all(outcome.fitted is not None for outcome in close):
        return min(close, key=lambda outcome: outcome.fitted or 0.0).values
    return min(close, key=_started).values


def nearest(outcomes: Sequence[Outcome], values: Values) -> Outcome:
    """Return the outcome whose rate is nearest to that of `values`, of those with the same other values."""

    def distance(outcome: Outcome) -> tuple[bool, float]:
        others_differ = {**outcome.values, RATE: None} != {**values, RATE: None}
        return others_differ, abs(log(outcome.values[RATE] / values[RATE]))

    return min(outcomes, key=distance)


def _started(outcome: Outcome) -> float:
    assert outcome.mean is not None
    return outcome.mean


def _measured(trials: Sequence[Trial], outcome: Outcome) -> list[float]:
    """Return what was measured in an outcome's runs, those that did not start included."""
    return [
        inf if trial.measured is None else trial.measured
        for trial in trials
        if trial.values == outcome.values
    ]


def _least_difference(trials: Sequence[Trial], outcomes: Sequence[Outcome]) -> float:
    """Return the least difference between two means that is resolved; 0 where single runs show no spread."""
    groups = [
        [
            measured
            for trial in trials
            if trial.values == outcome.values and (measured := trial.measured) is not None and trial.started
        ]
        for outcome in outcomes
    ]
    freedom = sum(len(group) - 1 for group in groups)
    if not freedom:
        return 0.0
    variance = sum(float(np.var(group)) * len(group) for group in groups) / freedom
    runs = min(map(len, groups))
    return float(stats.t.ppf(1 - SIGNIFICANCE / 2, freedom)) * sqrt(2 * variance / runs)


def _fit(outcomes: Sequence[Outcome]) -> list[tuple[Outcome, float]]:
    """Fit a parabola to the means over the logarithm of the rate; nothing for fewer than four rates."""
    points = [
        (outcome, outcome.mean)
        for outcome in outcomes
        if outcome.mean is not None and outcome.started == outcome.runs
    ]
    if len(points) < LEAST_RATES:
        return []
    rates = np.log([outcome.values[RATE] for outcome, _ in points])
    parabola = Polynomial.fit(rates, [mean for _, mean in points], 2)
    return [(outcome, float(parabola(rate))) for (outcome, _), rate in zip(points, rates, strict=True)]


def round_rate(rate: float) -> float:
    """Round to three significant digits."""
    return float(f"{rate:.3g}")


def values_name(values: Values) -> str:
    """Return values as the name of a folder: lr=0.01."""
    return ",".join(
        f"{key.rpartition('.')[2]}={value:g}" if isinstance(value, float) else f"{key}={value}"
        for key, value in values.items()
    )


def measure_heading(measure: str) -> str:
    """Return the heading of a table's column with the pilot's measure."""
    return "held-out error" if measure == TOP1_ERROR else measure


def measure_text(value: float | None, measure: str) -> str:
    """Return a value of the pilot's measure; errors are percentages."""
    if value is None:
        return "-"
    return f"{value:.2f}%" if measure.endswith("_error") else f"{value:.3g}"


def _outcome(trials: Sequence[Trial]) -> Outcome:
    known = [trial.measured for trial in trials if trial.started and trial.measured is not None]
    return Outcome(
        trials[0].arm,
        trials[0].values,
        len(trials),
        len(known),
        sum(trial.measured is None for trial in trials),
        fmean(known) if known else None,
    )
