"""Which arms' variances may be pooled: those whose runs all started, where Levene's test allows it."""

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from alexnet.compare.effects import NO_SPREAD, PooledVariance, pooled_variance
from alexnet.compare.runs import Run

EQUAL_VARIANCES = 0.05  # above this p-value of Levene's test, equal variances are not rejected

Errors = NDArray[np.float64]


@dataclass(frozen=True)
class Pool:
    """The errors in percent of the baseline and of the arms whose variance is pooled.

    `left_out` says why an arm is not among them. Where nothing may be pooled, `refusal` says why, and
    there is no variance.
    """

    baseline: Errors = field(default_factory=lambda: np.array([]))
    arms: dict[str, Errors] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    variance: PooledVariance | None = None
    refusal: str | None = None


def pool(
    arms: Mapping[str, Sequence[Run]],
    baseline: Sequence[Run],
    error: Callable[[Run], float | None] = lambda run: run.top1_error,
    diverged: Container[str | None] = (),
) -> Pool:
    """Pool the variance over the baseline and the arms whose runs all started, two runs at least each.

    Arms with runs at chance have errors of two kinds, and no variance that others share. `diverged` are the
    arms of which a run diverged, None for the baseline.
    """
    if reason := _unfit(baseline, None in diverged):
        return Pool(refusal=f"{reason} (the baseline)")
    left_out = {name: reason for name, runs in arms.items() if (reason := _unfit(runs, name in diverged))}
    errors = {name: _errors(runs, error) for name, runs in arms.items() if name not in left_out}
    groups = [_errors(baseline, error), *errors.values()]
    if not errors:
        return Pool(refusal=_reasons(left_out) or "there are no arms", left_out=left_out)
    if any(np.isnan(group).any() for group in groups):
        return Pool(refusal="not every run has this error", left_out=left_out)
    if refusal := _unequal(groups):
        return Pool(refusal=refusal, left_out=left_out)
    return Pool(groups[0], errors, left_out, pooled_variance(groups))


def left_out_text(pool: Pool) -> str:
    """Name the arms that are not pooled, and why: without tanh (runs ended at chance)."""
    return f"without {_reasons(pool.left_out)}" if pool.left_out else ""


def _unfit(runs: Sequence[Run], diverged: bool) -> str | None:
    """Return why the variance of these runs may not be pooled with others'; None if it may."""
    if diverged:
        return "runs diverged"
    if len(runs) < 2:
        return "a single run has no spread"
    if not all(run.started for run in runs):
        return "runs ended at chance"
    if all(run.epochs is None for run in runs):
        return "runs are deterministic"  # features made by hand
    return None


def _unequal(groups: Sequence[Errors]) -> str | None:
    """Return why the groups' variances cannot be taken as equal; None if they can."""
    # deviations that are equal within each group, as those of two runs always are, leave nothing to divide by
    if all(np.ptp(abs(group - np.median(group))) <= NO_SPREAD for group in groups):
        return "a test for equal variances takes three or more seeds"
    p = float(stats.levene(*groups).pvalue)
    if p <= EQUAL_VARIANCES:
        return f"the arms' variances are not equal (Levene's test, p = {p:.2g})"
    return None


def _reasons(left_out: Mapping[str, str]) -> str:
    names: dict[str, list[str]] = {}
    for name, reason in left_out.items():
        names.setdefault(reason, []).append(name)
    return "; ".join(f"{', '.join(arms)} ({reason})" for reason, arms in names.items())


def _errors(runs: Sequence[Run], error: Callable[[Run], float | None]) -> Errors:
    return np.array([error(run) for run in runs], dtype=float)
