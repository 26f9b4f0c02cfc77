"""The pilot of a study: the values that it tries, and the choice of the best for each arm."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from statistics import fmean
from typing import Any

from alexnet.config.study import PilotConfig
from alexnet.studies.record import Trial

RATE = "optimizer.lr"
WORST = 100.0  # percent: the error of a run that diverged
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
    """What the pilot found for an arm with some values: over its seeds, those that started and all.

    `error` is the mean top-1 error of the runs that started, in percent; None if none did.
    """

    arm: str
    values: Values
    runs: int
    started: int
    diverged: int
    error: float | None


def summarize(trials: Iterable[Trial]) -> list[Outcome]:
    """Return an outcome for each arm and values, in the order of the trials."""
    groups: dict[tuple[str, str], list[Trial]] = {}
    for trial in trials:
        groups.setdefault((trial.arm, str(sorted(trial.values.items()))), []).append(trial)
    return [_outcome(group) for group in groups.values()]


def choose(trials: Sequence[Trial]) -> Values:
    """Return the values of the best outcome of an arm: the most runs that started, then the lowest error.

    Where no run started, the lowest error of all counts. `trials` are those of one arm, at least one.
    """
    outcomes = {str(outcome.values): outcome for outcome in summarize(trials)}
    by_values: dict[str, list[float]] = {}
    for trial in trials:
        by_values.setdefault(str(trial.values), []).append(WORST if trial.error is None else trial.error)

    def rank(key: str) -> tuple[float, float]:
        outcome = outcomes[key]
        error = fmean(by_values[key]) if outcome.error is None else outcome.error
        return -outcome.started / outcome.runs, error

    return outcomes[min(outcomes, key=rank)].values


def round_rate(rate: float) -> float:
    """Round to three significant digits."""
    return float(f"{rate:.3g}")


def values_name(values: Values) -> str:
    """Return values as the name of a folder: lr=0.01."""
    return ",".join(
        f"{key.rpartition('.')[2]}={value:g}" if isinstance(value, float) else f"{key}={value}"
        for key, value in values.items()
    )


def _outcome(trials: Sequence[Trial]) -> Outcome:
    errors = [trial.error for trial in trials if trial.started and trial.error is not None]
    return Outcome(
        trials[0].arm,
        trials[0].values,
        len(trials),
        len(errors),
        sum(trial.error is None for trial in trials),
        fmean(errors) if errors else None,
    )
