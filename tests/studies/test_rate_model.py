"""The model that gives every combination of factors its rate."""

import math
from collections.abc import Callable, Sequence
from itertools import product

import numpy as np
import pytest

from alexnet.studies.pilot import RATE
from alexnet.studies.rate_model import RateModel
from alexnet.studies.record import Trial

FACTORS = ["a", "b", "c"]
RATES = (0.0025, 0.005, 0.01, 0.02)
SLOPE = {"a": 1.0, "b": -1.6, "c": 0.4}
CELLS = [
    [name for name, changed in zip(FACTORS, row, strict=True) if changed]
    for row in product((False, True), repeat=len(FACTORS))
]
SINGLE = [cell for cell in CELLS if len(cell) < 2]

Error = Callable[[Sequence[str], float], float]


def planted(cell: Sequence[str], rate: float) -> float:
    """A parabola over log2 of the rate, whose slope is a sum over what is changed, and its height is not."""
    x = math.log2(rate / 0.0062)
    return 30 + 3 * len(cell) ** 2 + x * sum(SLOPE[name] for name in cell) + x * x


def planted_best(cell: Sequence[str]) -> float:
    best = 0.0062 * 2 ** (-sum(SLOPE[name] for name in cell) / 2)
    return float(np.clip(best, RATES[0], RATES[-1]))


def fitted(cells: Sequence[list[str]], error: Error = planted, rates: Sequence[float] = RATES) -> RateModel:
    arms = {"+".join(cell) or "baseline": cell for cell in cells}
    trials = [
        Trial(arm, {RATE: rate}, 0, error(cell, rate), error(cell, rate) < 85)
        for arm, cell in arms.items()
        for rate in rates
    ]
    return RateModel(FACTORS, arms, trials)


@pytest.mark.parametrize("cell", CELLS)
def test_single_arms_give_the_best_rate_of_every_combination(cell: list[str]) -> None:
    assert fitted(SINGLE).best_rate(cell) == pytest.approx(planted_best(cell), rel=0.01)


def test_runs_that_did_not_start_are_left_out() -> None:
    def diverges(cell: Sequence[str], rate: float) -> float:
        return 90.0 if "a" in cell and rate == RATES[-1] else planted(cell, rate)

    for cell in CELLS:
        assert fitted(SINGLE, diverges).best_rate(cell) == pytest.approx(planted_best(cell), rel=0.01)


def test_errors_near_divergence_say_little() -> None:
    """Far above the best rate an error rises faster than a parabola."""

    def rises(cell: Sequence[str], rate: float) -> float:
        return planted(cell, rate) + (30.0 if "b" in cell and rate == RATES[-1] else 0.0)

    for cell in CELLS:
        assert abs(math.log2(fitted(SINGLE, rises).best_rate(cell) / planted_best(cell))) < 0.2


def test_a_rate_is_no_extrapolation() -> None:
    model = fitted(SINGLE, lambda cell, rate: 30 + math.log2(rate / (0.05 if "a" in cell else 0.001)) ** 2)
    assert model.best_rate(["a"]) == RATES[-1]
    assert model.best_rate([]) == RATES[0]


def test_a_curve_without_a_lowest_point_has_its_lower_end() -> None:
    assert fitted(SINGLE, lambda _, rate: 40 - math.log2(rate / 0.006) ** 2).best_rate([]) == RATES[-1]


def test_mirror_images_make_a_combination_more_exact() -> None:
    """Over 200 pilots with noise, at the same number of runs."""
    rng = np.random.default_rng(0)
    mirrored = [*SINGLE, *([name for name in FACTORS if name not in cell] for cell in SINGLE)]

    def mean_square(cells: Sequence[list[str]], seeds: int) -> float:
        squares = []
        for _ in range(200):
            arms = {"+".join(cell) or "baseline": cell for cell in cells}
            trials = [
                Trial(arm, {RATE: rate}, seed, planted(cell, rate) + rng.normal(0, 0.5), True)
                for arm, cell in arms.items()
                for rate in RATES
                for seed in range(seeds)
            ]
            model = RateModel(FACTORS, arms, trials)
            squares += [math.log2(model.best_rate(cell) / planted_best(cell)) ** 2 for cell in CELLS]
        return float(np.mean(squares))

    assert mean_square(mirrored, 1) < 0.8 * mean_square(SINGLE, 2)


def test_no_run_that_started_gives_some_rate_of_the_grid() -> None:
    assert RATES[0] <= fitted(SINGLE, lambda *_: 90.0).best_rate(["a"]) <= RATES[-1]
