"""Family-wise intervals against scipy and a published table, and when there are none."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from alexnet.compare.comparison import compare
from alexnet.compare.family_wise import FamilyWise
from alexnet.compare.family_wise import family_wise as by_dunnett
from alexnet.compare.notes import notes
from alexnet.compare.one_at_a_time import OneAtATime
from alexnet.compare.pooling import pool
from alexnet.compare.runs import Run, read_run
from alexnet.config import CompareConfig
from fabricated_runs import write_run, write_study

MakeRuns = Callable[..., list[Run]]


@pytest.fixture
def runs(tmp_path: Path) -> MakeRuns:
    """Return a function that makes runs of ten classes with the given errors."""
    run = read_run(write_run(tmp_path / "run", 20.0), "run")
    assert isinstance(run, Run)
    return lambda *errors: [replace(run, seed=seed, top1_error=error) for seed, error in enumerate(errors)]


def family_wise(arms: dict[str, list[Run]], baseline: list[Run], confidence: float) -> FamilyWise:
    return by_dunnett(pool(arms, baseline), confidence)


def test_by_hand(runs: MakeRuns) -> None:
    # Each group has the variance 1. Dunnett, Biometrics 20 (1964), table II: for two treatments and six
    # degrees of freedom the two-sided critical value at 95% is 2.86; times sqrt(1/3 + 1/3): 2.335
    arms = {"a": runs(24, 25, 26), "b": runs(21, 20, 22)}
    family = family_wise(arms, runs(20, 21, 22), 0.95)
    assert family.refusal is None
    assert family.intervals["a"] == pytest.approx((4 - 2.335, 4 + 2.335), abs=0.01)
    assert family.intervals["b"] == pytest.approx((-2.335, 2.335), abs=0.01)
    assert family.resolved("a")
    assert not family.resolved("b")


def test_dunnetts_own_example(runs: MakeRuns) -> None:
    # Dunnett (1955): blood counts of six control animals and of two groups that were given a drug;
    # s = 1.175 with 12 degrees of freedom, whose two-sided value for two treatments is 2.50 (table, 1964)
    control = runs(7.40, 8.50, 7.20, 8.24, 9.84, 8.32)
    drugs = {"A": runs(9.76, 8.80, 7.68, 9.36), "B": runs(12.80, 9.68, 12.16, 9.20, 10.55)}
    variance = pool(drugs, control).variance
    assert variance is not None
    assert (variance.deviation, variance.freedom) == (pytest.approx(1.175, abs=5e-4), 12)
    family = family_wise(drugs, control, 0.95)
    assert family.intervals["A"] == pytest.approx((0.65 - 1.896, 0.65 + 1.896), abs=0.02)
    assert family.intervals["B"] == pytest.approx((2.628 - 1.779, 2.628 + 1.779), abs=0.02)


@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_as_scipys_procedure(runs: MakeRuns, confidence: float) -> None:
    rng = np.random.default_rng(3)
    baseline, *arms = [rng.normal(20 + index, 1, size) for index, size in enumerate((6, 3, 4, 5, 2))]
    named = {f"arm {index}": runs(*errors) for index, errors in enumerate(arms)}
    family = family_wise(named, runs(*baseline), confidence)
    expected = stats.dunnett(*arms, control=baseline, rng=np.random.default_rng(0))
    interval = expected.confidence_interval(confidence)
    assert list(family.intervals) == list(named)
    assert list(family.intervals.values()) == list(zip(interval.low, interval.high, strict=True))
    assert family == family_wise(named, runs(*baseline), confidence)


@pytest.mark.parametrize("confidence", [0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.999])
@pytest.mark.parametrize("arms", [2, 3, 5])
def test_between_students_and_bonferronis_or_refused(runs: MakeRuns, arms: int, confidence: float) -> None:
    """For three arms of three runs at 99% scipy 1.17 returns intervals that are a hundred times too wide."""
    family = family_wise({str(arm): runs(20, 21, 22) for arm in range(arms)}, runs(20, 21, 22), confidence)
    if family.refusal:
        assert family.refusal == f"their computation did not converge at a confidence of {confidence}"
        assert confidence > 0.95
        return
    freedom, alpha = 2 * (arms + 1), 1 - confidence
    low, high = (stats.t.ppf(1 - tail / 2, freedom) * (2 / 3) ** 0.5 for tail in (alpha, alpha / arms))
    for interval in family.intervals.values():
        assert 0.99 * low < interval[1] < 1.01 * high


@pytest.mark.parametrize(
    ("errors", "reason"),
    [
        ({"baseline": [20, 21, 22], "a": [22, 23, 25]}, "there is only one arm"),
        (
            {"baseline": [20, 21, 22], "a": [22, 23, 25], "b": [30]},
            "there is only one arm without b (a single run has no spread)",
        ),
        ({"baseline": [20], "a": [22], "b": [30]}, "a single run has no spread (the baseline)"),
        (
            {"baseline": [20, 21, 22], "a": [22, 23, 25], "b": [30, 89.5, 31]},
            "there is only one arm without b (runs ended at chance)",
        ),
        (
            {"baseline": [20, 90, 22], "a": [22, 23, 25], "b": [30, 32, 31]},
            "runs ended at chance (the baseline)",
        ),
        (
            {
                "baseline": [20, 21],
                "a": [22, 23.3],
                "b": [30, 39],
            },  # both deviate by as much from their median
            "a test for equal variances takes three or more seeds",
        ),
        (
            {"baseline": [20, 20, 20], "a": [22, 22, 22], "b": [30, 30, 30]},
            "a test for equal variances takes three or more seeds",
        ),
    ],
)
def test_refusals(runs: MakeRuns, errors: dict[str, list[float]], reason: str) -> None:
    groups = {name: runs(*values) for name, values in errors.items()}
    family = family_wise(groups, groups.pop("baseline"), 0.95)
    assert (family.refusal, family.intervals) == (reason, {})


def test_refuses_unequal_variances(runs: MakeRuns) -> None:
    errors = [[20, 20.1, 20.2, 20.3, 20.4], [25, 25.1, 25.2, 25.3, 25.4], [30, 35, 40, 45, 50]]
    baseline, *arms = errors
    family = family_wise({"a": runs(*arms[0]), "b": runs(*arms[1])}, runs(*baseline), 0.95)
    p = stats.levene(*errors).pvalue
    assert p < 0.05
    assert family.refusal == f"the arms' variances are not equal (Levene's test, p = {p:.2g})"


def compared(study: Path, arms: dict[str, list[float]]) -> OneAtATime:
    given: dict[str, Any] = {name: ({}, errors) for name, errors in arms.items()}
    comparison = compare(CompareConfig(str(write_study(study, given)), None, None, None, 25.0, 0.95, []))
    assert isinstance(comparison, OneAtATime)
    return comparison


def test_the_note_names_what_stays_resolved(tmp_path: Path) -> None:
    # sums of squares 2, 2.0067, 2.0067 and 4.6667: variance 1.335 with 8 degrees of freedom; half of an
    # interval is 2.306004 sqrt(1.335 * 2 / 3) = 2.1755 by Student's t, and 2.72 by Dunnett's table (2.88)
    arms = {
        "baseline": [40.0, 41.0, 42.0],
        "large": [48.0, 49.1, 50.0],
        "small": [42.4, 43.5, 44.4],
        "noisy": [44.0, 41.0, 43.0],
    }
    comparison = compared(tmp_path / "study", arms)
    resolved = {arm.name: arm.top1.resolved for arm in comparison.arms if arm.top1}
    assert resolved == {"large": True, "small": True, "noisy": False}
    (note,) = (note for note in notes(comparison) if note.startswith("3 arms"))
    assert note.endswith(
        "about 0.15 of them would be called resolved. With family-wise intervals (Dunnett), "
        "still resolved: large; no longer resolved: small."
    )
    nothing = compared(tmp_path / "nothing", {name: [20.0, 21.0, 22.0] for name in ("baseline", "a", "b")})
    assert any("(Dunnett), none is resolved." in note for note in notes(nothing))


def test_a_refusal_is_a_note(tmp_path: Path) -> None:
    comparison = compared(tmp_path / "study", {"baseline": [20.0, 21.0, 21.5], "a": [21.0, 22.0, 22.1]})
    (note,) = (note for note in notes(comparison) if re.search("family-wise", note))
    assert note == "No family-wise intervals (Dunnett): there is only one arm."
