"""Which effects a two-level design can estimate, and which of them it cannot tell apart."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from alexnet.errors import UserError

Levels = NDArray[np.float64]  # [runs, factors]: -1 the baseline's level, +1 the changed one


@dataclass(frozen=True)
class Term:
    """A main effect or an interaction of two factors, with the interactions that share its column.

    `factors` are one or two names. Each of `aliases` is a sign, +1 or -1, and the factors of an interaction.
    """

    factors: tuple[str, ...]
    aliases: tuple[tuple[int, tuple[str, ...]], ...] = ()

    @property
    def name(self) -> str:
        """The effect as it is named: no_lrn, no_lrn:tanh, no_lrn:tanh = no_dropout:sigmoid."""
        others = [f"{'-' if sign < 0 else ''}{':'.join(factors)}" for sign, factors in self.aliases]
        return " = ".join([":".join(self.factors), *others])

    @property
    def is_main(self) -> bool:
        """Whether it is a main effect."""
        return len(self.factors) == 1

    def column(self, factors: Sequence[str], levels: Levels) -> NDArray[np.float64]:
        """Return the term's column of the design, -1 or +1 for each run."""
        return levels[:, [factors.index(factor) for factor in self.factors]].prod(axis=1)


def estimable_terms(factors: Sequence[str], cells: Levels) -> list[Term]:
    """Return the terms that a regular two-level design of these cells can estimate: main effects first.

    Of interactions that share a column one stands for all. Where an interaction shares that of a main effect
    (resolution III), there are main effects only, which then hold the interactions as well. Raises
    `UserError` where two main effects cannot be told apart, or a factor has one level.
    """
    mains = [Term((factor,)) for factor in factors]
    columns = [main.column(factors, cells) for main in mains]
    for main, column in zip(mains, columns, strict=True):
        if abs(column.sum()) == len(column):
            raise UserError(
                f"The effect of {main.name} cannot be estimated: all arms have the same level of it."
            )
    for (one, first), (other, second) in combinations(zip(mains, columns, strict=True), 2):
        if _sign(first, second):
            raise UserError(f"{one.name} and {other.name} cannot be told apart: one determines the other.")
    pairs = [Term(pair) for pair in combinations(factors, 2)]
    if any(_sign(pair.column(factors, cells), column) for pair in pairs for column in columns):
        return mains
    grouped: list[Term] = []
    for pair in pairs:
        column = pair.column(factors, cells)
        for index, term in enumerate(grouped):
            if sign := _sign(term.column(factors, cells), column):
                grouped[index] = Term(term.factors, (*term.aliases, (sign, pair.factors)))
                break
        else:
            grouped.append(pair)
    return [*mains, *grouped]


def _sign(one: NDArray[np.float64], other: NDArray[np.float64]) -> int:
    """Return 1 for equal columns, -1 for opposite ones, else 0."""
    product = float(one @ other) / len(one)
    return round(product) if abs(product) == 1 else 0
