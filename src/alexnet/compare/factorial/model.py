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
    are not estimated, or not told apart. `deviation` is the spread of runs in percentage points, with its
    degrees of `freedom`; None where there are none. `blocks` says whether each seed has a mean of its own.

    With replicates (`replicated`), all effects are contrasts of the means of the cells, and the spread is
    that of replicates: nothing is assumed of interactions. Without, it is a model without interactions of
    more factors than two, and the spread of runs about it. `lack_of_fit` is the p-value of the F-test of this
    model against the means of the cells; None without replicates, or where both are the same.
    """

    averaged: dict[Term, Effect]
    removed: dict[str, Effect | None]
    deviation: float | None
    freedom: int
    blocks: bool
    replicated: bool
    lack_of_fit: float | None


def fit_factorial(
    factors: Sequence[str],
    terms: Sequence[Term],
    levels: Levels,
    errors: NDArray[np.float64],
    seeds: Sequence[int] | None,
    confidence: float,
) -> FactorialFit:
    """Estimate the terms from errors in percent, one a run, with a block for each of the `seeds` where given.

    Raises `NotEstimableError`.
    """
    from statsmodels.regression.linear_model import OLS  # with pandas, it takes a while to import

    cells, index = np.unique(levels, axis=0, return_inverse=True)
    own = (index.reshape(-1, 1) == np.arange(len(cells))).astype(float)
    columns = np.column_stack([np.ones(len(cells)), *(term.column(factors, cells) for term in terms)])
    blocks = _blocks(seeds)
    design = np.column_stack([own @ columns, *blocks])
    if np.linalg.matrix_rank(design) < design.shape[1]:
        raise NotEstimableError
    model = OLS(errors, design).fit()
    result, contrasts, lack_of_fit = model, _of_model(terms, design.shape[1]), None
    replicated = _has_replicates(np.column_stack([own, *blocks])) and _is_orthogonal(columns)
    if replicated:
        result = OLS(errors, np.column_stack([own, *blocks])).fit()
        contrasts = _of_cells(terms, columns, len(blocks))
        lack_of_fit = _lack_of_fit(model, result)
    removed = {factor: _removed(factor, contrasts) for factor in factors}
    if replicated:
        removed |= _between_cells(factors, cells, len(blocks))
    wanted = [*contrasts.values(), *(contrast for contrast in removed.values() if contrast is not None)]
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
        replicated,
        lack_of_fit,
    )


def _has_replicates(design: NDArray[np.float64]) -> bool:
    """Return whether a mean for every cell, and the blocks, leave degrees of freedom and are told apart."""
    runs, columns = design.shape
    return runs > columns == np.linalg.matrix_rank(design)


def _is_orthogonal(columns: NDArray[np.float64]) -> bool:
    """Return whether the cells are those of a regular design: none is missing."""
    return bool(np.array_equal(columns.T @ columns, len(columns) * np.eye(columns.shape[1])))


def _of_model(terms: Sequence[Term], length: int) -> dict[Term, NDArray[np.float64]]:
    """Return the contrasts on coefficients: twice that of a term, from level -1 to level +1."""
    return {term: 2 * np.eye(length)[1 + index] for index, term in enumerate(terms)}


def _of_cells(
    terms: Sequence[Term], columns: NDArray[np.float64], blocks: int
) -> dict[Term, NDArray[np.float64]]:
    """Return the contrasts on means of cells: the mean where a term is +1 minus that where it is -1."""
    scaled = 2 * columns / len(columns)
    return {term: np.pad(scaled[:, 1 + index], (0, blocks)) for index, term in enumerate(terms)}


def _between_cells(factors: Sequence[str], cells: Levels, blocks: int) -> dict[str, NDArray[np.float64]]:
    """Return for each factor the cell that changes it alone minus the baseline, where both are there."""
    contrasts = {}
    baseline = (cells == -1).all(axis=1)
    for place, factor in enumerate(factors):
        alone = (cells == np.where(np.arange(len(factors)) == place, 1, -1)).all(axis=1)
        if alone.any() and baseline.any():
            contrasts[factor] = np.pad(alone.astype(float) - baseline, (0, blocks))
    return contrasts


def _lack_of_fit(model: Any, saturated: Any) -> float | None:
    """Return the p-value of a model against the means of the cells."""
    if saturated.df_model <= model.df_model or saturated.mse_resid <= NO_SPREAD**2:
        return None
    return float(saturated.compare_f_test(model)[1])


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
