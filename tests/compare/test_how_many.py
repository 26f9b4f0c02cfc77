"""The number of runs that resolve a difference, against R, an independent library and simulation."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from statsmodels.stats.power import TTestIndPower

from alexnet.compare.comparison import compare
from alexnet.compare.effects import PooledVariance
from alexnet.compare.how_many import how_many_section
from alexnet.compare.power import (
    all_terms,
    detection_power,
    factorial_runs,
    one_at_a_time_runs,
    smallest_fraction,
)
from alexnet.config import CompareConfig
from alexnet.config.study import Design
from alexnet.errors import UserError
from alexnet.studies.record import StudyRecord
from fabricated_runs import FACTORS, full_factorial, write_factorial, write_study


def test_power_as_r() -> None:
    """R, ?power.t.test: n = 20, delta = 1, sd = 1 has the power 0.8689528; power .90 takes n = 22.02110."""
    assert detection_power(1, (2 / 20) ** 0.5, 38, 0.95) == pytest.approx(0.8689528, abs=1e-6)
    assert detection_power(1, (2 / 22.02110) ** 0.5, 2 * 21.02110, 0.95) == pytest.approx(0.9, abs=1e-6)


@pytest.mark.parametrize(("points", "deviation", "seeds"), [(1.0, 1.0, 17), (0.5, 1.0, 64), (2.0, 1.0, 6)])
def test_seeds_as_r(points: float, deviation: float, seeds: int) -> None:
    """power.t.test(delta =, sd =, power = .8): n = 16.71477, 63.76576 and 5.090008 a group."""
    needed = one_at_a_time_runs(1, points, PooledVariance(deviation, 5), 0.95)
    assert (needed.seeds, needed.runs, needed.freedom) == (seeds, 2 * seeds, 2 * seeds - 2)


@pytest.mark.parametrize("points", [0.3, 0.7, 1.5, 40.0])
def test_the_smallest_number_as_statsmodels(points: float) -> None:
    """Also where the difference is many times the spread, and scipy's distribution is no number."""
    power = TTestIndPower().power
    smallest = next(n for n in range(2, 500) if power(points / 0.7, n, 0.05) >= 0.8)
    assert one_at_a_time_runs(1, points, PooledVariance(0.7, 5), 0.95).seeds == smallest


def test_six_factors_by_hand() -> None:
    variance = PooledVariance(0.7, 10)
    # an arm's 34 seeds, the baseline's sqrt(6) times as many: 0.7 sqrt(1/34 + 1/84) = 0.14228; t is 1.9684
    # with 281 degrees of freedom, and the power of 0.4 / 0.14228 = 2.811 is 0.80; with 33 seeds it is 0.79
    needed = one_at_a_time_runs(6, 0.4, variance, 0.95)
    assert (needed.seeds, needed.runs, needed.freedom) == (34, 6 * 34 + 84, 6 * 33 + 83)
    assert needed.standard_error == pytest.approx(0.14228, abs=1e-5)
    # standard errors 2 * 0.7 / sqrt(runs): 0.4 is 2.8 of them for 96 runs, and 2.8 resolve with power 0.79
    fraction = factorial_runs(Design.fraction, 32, all_terms(6), 0.4, variance, 0.95)
    assert (fraction.seeds, fraction.runs, fraction.freedom) == (4, 128, 128 - 22 - 3)
    # a saturated design has no degrees of freedom, however large the difference: 16 runs for 16 coefficients
    assert factorial_runs(Design.fraction, 16, all_terms(5), 50, variance, 0.95).seeds == 2


def test_the_power_is_reached_in_simulated_studies() -> None:
    """A third arm's seeds add degrees of freedom."""
    needed = one_at_a_time_runs(2, 1.0, PooledVariance(0.7, 5), 0.95)
    rng, studies = np.random.default_rng(0), 20_000
    sizes = (needed.runs - 2 * needed.seeds, needed.seeds, needed.seeds)
    groups = [rng.normal(mean, 0.7, (studies, size)) for mean, size in zip((0, 1, 0), sizes, strict=True)]
    squares = sum(((group - group.mean(1, keepdims=True)) ** 2).sum(1) for group in groups)
    error = np.sqrt(squares / needed.freedom * (1 / sizes[0] + 1 / sizes[1]))
    resolved = abs(groups[1].mean(1) - groups[0].mean(1)) > 2.0 * error
    exact = detection_power(1.0, needed.standard_error, needed.freedom, 0.95)
    assert resolved.mean() == pytest.approx(exact, abs=0.02)
    assert 0.8 <= exact < 0.9


@pytest.mark.parametrize(("factors", "cells"), [(3, None), (4, None), (5, 16), (6, 32), (7, 64), (8, 64)])
def test_fractions_of_resolution_five(factors: int, cells: int | None) -> None:
    """Box, Hunter and Hunter, table of fractions: 2^(5-1), 2^(6-1), 2^(7-1), 2^(8-2)."""
    assert smallest_fraction(factors) == cells


def config(study: Path, resolve: float | None) -> CompareConfig:
    return CompareConfig(str(study), None, None, None, 25.0, 0.95, [], False, resolve)


def arms_of(rng: np.random.Generator, names: list[str], seeds: int) -> dict[str, Any]:
    return {
        name: (FACTORS.get(name, {}), rng.normal(25, 0.7, seeds).tolist()) for name in ["baseline", *names]
    }


def test_a_study_is_told_the_command(tmp_path: Path) -> None:
    names = list(FACTORS)[:5]
    study = write_study(tmp_path / "s", arms_of(np.random.default_rng(0), names, 4))
    comparison = compare(config(study, 0.5))
    without = how_many_section(comparison)
    assert without is not None
    assert without.command is None
    assert [row[0] for row in without.table.rows] == ["one at a time", "full factorial", "fraction (V)"]
    arms = {name: [] if name == "baseline" else [name] for name in ["baseline", *names]}
    typed = ["study=innovations", "data.root=/my images", "study.seeds=4"]
    seeds = {name: list(range(4)) for name in arms}
    record = StudyRecord("s", "S", Design.one_at_a_time, "baseline", names, arms, seeds, overrides=typed)
    section = how_many_section(replace(comparison, record=record))
    assert section is not None
    needed = section.table.rows[0][2]
    expected = f"python src/train.py -m study=innovations 'data.root=/my images' study.seeds={needed}"
    assert (section.command, section.table.rows[0][-1]) == (expected, "has 4")
    enough = how_many_section(replace(comparison, record=record, resolve=5.0))
    assert enough is not None
    assert (enough.command, enough.sentences[-1]) == (None, "This study has enough.")
    assert how_many_section(replace(comparison, resolve=None)) is None


def test_a_factorial_is_told_its_replicates(tmp_path: Path) -> None:
    factors, rng = list(FACTORS)[:3], np.random.default_rng(1)
    cells = full_factorial(factors)
    errors = {"+".join(cell) or "baseline": [float(25 + rng.normal(0, 0.7))] for cell in cells}
    study = write_factorial(tmp_path / "s", cells, errors, factors, overrides=["study=x"])
    section = how_many_section(compare(config(study, 0.3)))
    assert section is not None
    rows = {row[0]: row for row in section.table.rows}
    assert list(rows) == ["one at a time", "full factorial"]
    assert rows["full factorial"][-1] == "has 1"
    assert section.command == f"python src/train.py -m study=x study.seeds={rows['full factorial'][2]}"


def test_without_spread_there_is_no_answer(tmp_path: Path) -> None:
    for arms, reason in (
        ({"baseline": ({}, [20.0]), "a": ({}, [21.0])}, "no arm has two runs that started"),
        ({"baseline": ({}, [20.0] * 2), "a": ({}, [21.0] * 2)}, "no two runs differ"),
    ):
        study = write_study(tmp_path / reason, arms)  # type: ignore[arg-type]
        with pytest.raises(
            UserError, match=f"^resolve=0.5: cannot estimate the spread between runs, because {reason}"
        ):
            how_many_section(compare(config(study, 0.5)))
    with pytest.raises(UserError, match="takes more than 1,000,000 seeds per arm"):
        one_at_a_time_runs(3, 1e-4, PooledVariance(0.7, 5), 0.95)
