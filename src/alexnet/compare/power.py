"""How many runs resolve a difference: the power of each design, from the spread of runs that was observed."""

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from math import ceil, comb, sqrt

from scipy import stats

from alexnet.compare.effects import PooledVariance
from alexnet.config.study import Design
from alexnet.errors import UserError

POWER = 0.8
NEVER_OPPOSITE = 8  # standard errors
MOST = 1_000_000  # seeds of an arm, or replicates of a cell
RESOLUTION = 5  # of the smallest fraction that tells main effects and interactions of two factors apart


@dataclass(frozen=True)
class RunsNeeded:
    """A design, and the smallest number of runs with which it resolves a difference.

    `seeds` are those of each arm, or the replicates of each cell; `cells` counts arms with the baseline, or
    cells. `standard_error` is that of an effect in percentage points, and `freedom` its degrees of freedom.
    """

    design: Design
    cells: int
    seeds: int
    runs: int
    standard_error: float
    freedom: int
    resolution: int | None = None


def detection_power(points: float, standard_error: float, freedom: int, confidence: float) -> float:
    """Return the probability that an effect of `points` is resolved, by the noncentral t distribution."""
    critical = stats.t.ppf((1 + confidence) / 2, freedom)
    shift = points / standard_error
    # an interval on the wrong side of zero; for large shifts scipy has no number, and it is below 1e-15
    opposite = stats.nct.cdf(-critical, freedom, shift) if shift < NEVER_OPPOSITE else 0.0
    return float(stats.nct.sf(critical, freedom, shift) + opposite)


def one_at_a_time_runs(arms: int, points: float, variance: PooledVariance, confidence: float) -> RunsNeeded:
    """Return the seeds that an arm needs; the baseline has sqrt(arms) times as many.

    The variance is pooled over all of them. Raises `UserError` where no number of seeds will do.
    """

    def planned(seeds: int) -> RunsNeeded:
        baseline = ceil(seeds * sqrt(arms))
        runs = arms * seeds + baseline
        error = variance.deviation * sqrt(1 / seeds + 1 / baseline)
        return RunsNeeded(Design.one_at_a_time, arms + 1, seeds, runs, error, runs - arms - 1)

    return _smallest(planned, points, confidence)


def factorial_runs(
    design: Design,
    cells: int,
    terms: int,
    points: float,
    variance: PooledVariance,
    confidence: float,
    resolution: int | None = None,
) -> RunsNeeded:
    """Return the replicates that a two-level design needs, for effects averaged over the other factors.

    `terms` are the main effects and interactions that are estimated. Replicates are blocks. Raises
    `UserError` where no number of them will do.
    """

    def planned(replicates: int) -> RunsNeeded:
        runs = cells * replicates
        error = variance.deviation * 2 / sqrt(runs)
        return RunsNeeded(design, cells, replicates, runs, error, runs - terms - replicates, resolution)

    return _smallest(planned, points, confidence)


def all_terms(factors: int) -> int:
    """Return the number of main effects and interactions of two factors."""
    return factors + comb(factors, 2)


def smallest_fraction(factors: int) -> int | None:
    """Return the cells of the smallest fraction of resolution V; None if no fraction has it."""
    from pydoe import fracfact_by_res

    cells = len(fracfact_by_res(factors, RESOLUTION)) if factors >= RESOLUTION else 2**factors
    return cells if cells < 2**factors else None


def _smallest(planned: Callable[[int], RunsNeeded], points: float, confidence: float) -> RunsNeeded:
    def resolves(seeds: int) -> bool:
        needed = planned(seeds)
        if needed.freedom < 1:
            return False
        return detection_power(points, needed.standard_error, needed.freedom, confidence) >= POWER

    index = bisect_left(range(1, MOST), True, key=resolves)  # more seeds never have less power
    if index == MOST - 1:
        raise UserError(
            f"resolve={points:g}: resolving so small a difference takes more than {MOST:,} seeds per arm."
        )
    return planned(1 + index)
