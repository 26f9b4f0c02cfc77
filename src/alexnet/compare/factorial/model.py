"""Main effects and interactions of a two-level design, by ordinary least squares."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alexnet.compare.effects import NO_SPREAD, Effect, Significance, interval_significance
from alexnet.compare.factorial.terms import Levels, Term


class NotEstimableError(Exception):
    """The runs that are left do not tell all effects apart."""


@dataclass(frozen=True)
class FactorialFit:
    """The effects of a design in percentage points: the changed level minus the baseline's.

    `averaged` has every term, in Yates's definition: a main effect is averaged over the levels of the other
    factors; an interaction is half of what the effect of one factor gains by changing the other. `removed`
    has for each factor its effect where all others are at the baseline's level; None where interactions
    are not estimated, or not told apart. `deviation` is the spread of runs about the model in percentage
    points, with its degrees of `freedom`; None where there are none. `blocks` says whether each seed has
    a mean of its own. `lack_of_fit` is the p-value of the F-test of the model against means of every cell,
    which interactions of more factors would make small; None where no cell has replicates, or the model is
    that of the cells.
    """

    averaged: dict[Term, Effect]
    removed: dict[str, Effect | None]
    deviation: float | None
    freedom: int
    blocks: bool
    lack_of_fit: float | None


def fit_factorial(
    factors: Sequence[str],
    terms: Sequence[Term],
    levels: Levels,
    errors: NDArray[np.float64],
    seeds: Sequence[int] | None,
    confidence: float,
) -> FactorialFit:
    """Fit errors in percent, one a run, to the terms, with a block for each of the `seeds` where given.

    Raises `NotEstimableError`.
    """
    from statsmodels.regression.linear_model import OLS  # with pandas, it takes a while to import

    columns = [np.ones(len(errors)), *(term.column(factors, levels) for term in terms), *_blocks(seeds)]
    design = np.column_stack(columns)
    if np.linalg.matrix_rank(design) < design.shape[1]:
        raise NotEstimableError
    contrasts = {term: _unit(1 + index, design.shape[1]) for index, term in enumerate(terms)}
    removed = {factor: _removed(factor, contrasts) for factor in factors}
    wanted = [*contrasts.values(), *(contrast for contrast in removed.values() if contrast is not None)]
    result = OLS(errors, design).fit()
    freedom = int(result.df_resid)
    deviation = sqrt(max(result.mse_resid, 0.0)) if freedom else None
    if deviation is None or deviation <= NO_SPREAD:
        without = Significance.no_freedom if deviation is None else Significance.no_spread
        effects = iter([Effect((), float(result.params @ contrast), None, without) for contrast in wanted])
    else:
        test = result.t_test(np.array(wanted))
        intervals = test.conf_int(alpha=1 - confidence).tolist()
        effects = iter(
            [_effect(mean, *ends) for mean, ends in zip(test.effect.tolist(), intervals, strict=True)]
        )
    return FactorialFit(
        {term: next(effects) for term in contrasts},
        {factor: None if contrast is None else next(effects) for factor, contrast in removed.items()},
        deviation,
        freedom,
        seeds is not None,
        _lack_of_fit(result, levels, seeds),
    )


def _lack_of_fit(result: Any, levels: Levels, seeds: Sequence[int] | None) -> float | None:
    """Return the p-value of a fit against a mean for every cell, with the same blocks."""
    from statsmodels.regression.linear_model import OLS

    cells, index = np.unique(levels, axis=0, return_inverse=True)
    own = index.reshape(-1, 1) == np.arange(len(cells))
    saturated = OLS(result.model.endog, np.column_stack([own.astype(float), *_blocks(seeds)])).fit()
    if saturated.df_resid < 1 or saturated.df_model <= result.df_model or saturated.mse_resid <= NO_SPREAD**2:
        return None
    return float(saturated.compare_f_test(result)[1])


def _unit(index: int, length: int) -> NDArray[np.float64]:
    """Return the contrast of a term: twice its coefficient, from level -1 to level +1."""
    contrast = np.zeros(length)
    contrast[index] = 2
    return contrast


def _removed(factor: str, contrasts: dict[Term, NDArray[np.float64]]) -> NDArray[np.float64] | None:
    """Return the contrast of a factor where all others are at -1; None if that takes terms apart."""
    pairs = [term for term in contrasts if factor in term.factors and not term.is_main]
    if len(pairs) < sum(term.is_main for term in contrasts) - 1 or any(term.aliases for term in pairs):
        return None
    total = contrasts[Term((factor,))].copy()
    for term in pairs:
        total -= contrasts[term]
    return total


def _blocks(seeds: Sequence[int] | None) -> list[NDArray[np.float64]]:
    """Return a column for every seed but the first, 1 for its runs."""
    if seeds is None:
        return []
    return [np.array([float(seed == block) for seed in seeds]) for block in sorted(set(seeds))[1:]]


def _effect(mean: float, low: float, high: float) -> Effect:
    return Effect((), mean, (low, high), interval_significance((low, high)))
