"""Which arms can be told apart from which: Tukey's comparison of all pairs, as letters."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from string import ascii_letters

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from alexnet.compare.one_at_a_time import OneAtATime
from alexnet.compare.pooling import Pool, left_out_text
from alexnet.compare.tables import Section, Table

HEADING = "Which arms can be told apart"


@dataclass(frozen=True)
class RankedArm:
    """An arm with its mean error in percent and its letters, those of the groups to which it belongs."""

    name: str
    error: float
    letters: str


def rank(pool: Pool, baseline: str, confidence: float) -> list[RankedArm]:
    """Rank the pooled arms and the baseline, lowest error first; none where nothing is pooled.

    Two of them share a letter if their difference is not resolved by the Tukey-Kramer procedure, whose
    intervals for all pairs hold at once. Tukey, "The problem of multiple comparisons" (1953); Kramer,
    Biometrics 12 (1956).
    """
    if pool.variance is None or len(pool.arms) < 2:
        return []
    errors = {baseline: pool.baseline, **pool.arms}
    names = sorted(errors, key=lambda name: float(errors[name].mean()))
    means = np.array([errors[name].mean() for name in names])
    shares = np.array([1 / len(errors[name]) for name in names])
    # one quantile; scipy's tukey_hsd integrates a p-value for each pair, seconds for sixteen arms
    quantile = stats.studentized_range.ppf(confidence, len(names), pool.variance.freedom)
    widths = quantile * pool.variance.deviation * np.sqrt(np.add.outer(shares, shares) / 2)
    groups = letter_groups(abs(np.subtract.outer(means, means)) > widths)
    return [
        RankedArm(
            name,
            float(errors[name].mean()),
            "".join(letter for letter, group in zip(ascii_letters, groups, strict=False) if row in group),
        )
        for row, name in enumerate(names)
    ]


def letter_groups(different: NDArray[np.bool_]) -> list[frozenset[int]]:
    """Return sets of rows. Two rows have one in common if and only if they are not `different` (symmetric).

    Insert and absorb: Piepho, "An algorithm for a letter-based representation of
    all-pairwise comparisons", Journal of Computational and Graphical Statistics 13 (2004).
    """
    groups = [frozenset(range(len(different)))]
    for pair in combinations(range(len(different)), 2):
        if different[pair]:
            parts = {part for group in groups for part in _without_pair(group, pair)}
            groups = [part for part in parts if not any(part < other for other in parts)]
    return sorted(groups, key=sorted)


def _without_pair(group: frozenset[int], pair: tuple[int, int]) -> Sequence[frozenset[int]]:
    return [group - {row} for row in pair] if group.issuperset(pair) else [group]


def ranking_section(comparison: OneAtATime, *, short: bool = False) -> Section | None:
    """Return the arms by error with their letters; None without two arms and a baseline to compare.

    A `short` one fits into 80 columns.
    """
    ranked = rank(comparison.pool, comparison.baseline.name, comparison.confidence)
    if not ranked:
        return None
    rows = [[arm.name, f"{arm.error:.2f}%", arm.letters] for arm in ranked]
    table = Table(["arm", "top-1 error", "group"], rows)
    if short:
        how = f"Tukey-Kramer, {comparison.confidence:.0%}"
        return Section(HEADING, table, [f"Arms that share a letter cannot be told apart ({how})."])
    sentences = [
        "Arms that share a letter cannot be told apart by these runs: with"
        f" {comparison.confidence:.0%} confidence for all pairs at once (Tukey-Kramer), their difference may"
        " be zero."
    ]
    if comparison.pool.left_out:
        left_out = left_out_text(comparison.pool)
        sentences.append(f"{left_out[0].upper()}{left_out[1:]}.")
    return Section(HEADING, table, sentences)
