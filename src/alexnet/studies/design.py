"""Designs: the arms of a study, combinations of its factors, and what a fraction cannot tell apart."""

import hashlib
import re
from dataclasses import dataclass

import numpy as np
import pydoe
from numpy.typing import NDArray

from alexnet.config.study import Design, StudyConfig
from alexnet.errors import UserError

MOST_CHARACTERS = 120  # of an arm's name: a file name has at most 255 bytes, and suffixes are added to it
MOST_FACTORS = 16  # of a factorial or a fraction; all combinations of more are over 65,536


@dataclass(frozen=True)
class Plan:
    """The arms of a study by name, each with the factors that it changes, none for the baseline.

    `seeds` are those of each arm. `pilot_arms` are those that the pilot runs, of which a fraction may lack
    some. `aliases` are effects of one factor or two that a fraction confounds, such
    as "a:b = c:d".
    """

    arms: dict[str, list[str]]
    seeds: dict[str, list[int]]
    aliases: list[str]
    pilot_arms: dict[str, list[str]]

    @property
    def runs(self) -> int:
        """Number of runs of the study, without its pilot."""
        return sum(map(len, self.seeds.values()))


def plan_study(config: StudyConfig, first_seed: int) -> Plan:
    """Return the arms and seeds of a study. Raises `UserError` for a design that cannot be."""
    aliases: list[str] = []
    if config.design is Design.one_at_a_time:
        cells = [[], *([factor] for factor in config.factors)]
    elif config.design is Design.cumulative:
        cells = [config.factors[:count] for count in range(len(config.factors) + 1)]
    else:
        levels, aliases = _two_level(config)
        cells = [
            [factor for factor, changed in zip(config.factors, row, strict=True) if changed] for row in levels
        ]
    arms = {cell_name(cell, config): cell for cell in cells}
    counts = dict.fromkeys(arms, config.seeds)
    if not config.is_two_level:
        counts[config.baseline] = config.seeds_of_baseline(len(arms) - 1)
    seeds = {arm: list(range(first_seed, first_seed + count)) for arm, count in counts.items()}
    return Plan(arms, seeds, aliases, _pilot_arms(config, arms))


def _pilot_arms(config: StudyConfig, arms: dict[str, list[str]]) -> dict[str, list[str]]:
    if not config.models_rates:
        return arms
    ends = [[], *([name] for name in config.factors)]
    mirrored = [[name for name in config.factors if name not in cell] for cell in ends]
    return {arm_name(cell, config.baseline): cell for cell in (*ends, *mirrored)}


def cell_name(factors: list[str], config: StudyConfig) -> str:
    """Return the name of the arm that changes these factors in a design."""
    if config.design is Design.cumulative and factors:
        return f"+{arm_name(factors[-1:], config.baseline)}"  # to those before it
    return arm_name(factors, config.baseline)


def arm_name(factors: list[str], baseline: str) -> str:
    """Return the name of the arm that changes these factors, which is that of its folder.

    A long one is cut, and ends in a hash of the whole.
    """
    name = "+".join(re.sub(r"[^\w.=-]+", "_", factor, flags=re.ASCII) for factor in factors) or baseline
    if len(name) <= MOST_CHARACTERS:
        return name
    return f"{name[:MOST_CHARACTERS]}_{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def _two_level(config: StudyConfig) -> tuple[NDArray[np.bool_], list[str]]:
    """Return (runs, factors), true where a factor is changed, and the aliases; the baseline is a run."""
    factors = config.factors
    if not 2 <= len(factors) <= MOST_FACTORS:
        raise UserError(
            f"study.design={config.design.value}: {len(factors)} factors. It takes 2 to {MOST_FACTORS}:"
            " study.factors=[...]."
        )
    if config.design is Design.factorial:
        rows = pydoe.ff2n(len(factors))
        return rows > 0, []
    try:
        design = pydoe.fracfact_by_res(len(factors), config.resolution)
    except ValueError as error:
        raise UserError(
            f"study.resolution={config.resolution}: no fraction of {len(factors)} factors has it. Lower it,"
            " or take all combinations: study.design=factorial."
        ) from error
    if len(design) == 2 ** len(factors):
        raise UserError(
            f"study.design=fraction: with {len(factors)} factors only all {len(design)} combinations have"
            f" resolution {config.resolution}. Lower study.resolution, or take study.design=factorial."
        )
    signed = design * -design[0]  # signs of whole columns: still a fraction, now with the baseline in it
    return signed > 0, _aliases(design, factors)


def _aliases(design: NDArray[np.float64], factors: list[str]) -> list[str]:
    """Return the groups of main effects and interactions of two factors that are confounded, up to sign."""
    groups = []
    for group in pydoe.fracfact_aliasing(design)[0]:
        terms = [term for term in group.split(" = ") if len(term) <= 2]
        if len(terms) > 1:
            names = [":".join(factors[ord(letter) - ord("a")] for letter in term) for term in terms]
            groups.append(" = ".join(names))
    return groups
