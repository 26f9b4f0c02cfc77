"""How many runs of an arm have started to learn, with its binomial interval."""

from collections.abc import Iterable
from dataclasses import dataclass

from scipy import stats

from alexnet.compare.effects import Interval
from alexnet.compare.runs import Run


@dataclass(frozen=True)
class StartRate:
    """The runs that started, of those completed or diverged; the interval is a share of them, 0 to 1."""

    started: int
    runs: int
    interval: Interval


def start_rate(runs: Iterable[Run], confidence: float, diverged: int = 0) -> StartRate:
    """Count the runs that started, with the exact interval of Clopper and Pearson (Biometrika 26, 1934).

    `runs` are those that were completed, at least one; `diverged` is the number of those that diverged.
    """
    started = [run.started for run in runs] + [False] * diverged
    result = stats.binomtest(sum(started), len(started)).proportion_ci(confidence, "exact")
    return StartRate(sum(started), len(started), (float(result.low), float(result.high)))
