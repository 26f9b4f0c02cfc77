"""Which arms are pooled, start rates against R, and the coverage of the estimate that is reported."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from alexnet.compare.charts import applicable_charts
from alexnet.compare.comparison import compare
from alexnet.compare.effects import Significance, paired_effect, pooled_effect
from alexnet.compare.notes import notes
from alexnet.compare.one_at_a_time import OneAtATime
from alexnet.compare.pooling import pool
from alexnet.compare.runs import Run, read_run
from alexnet.compare.spreadsheets import csv_files
from alexnet.compare.start_rate import start_rate
from alexnet.config import CompareConfig
from alexnet.plotting import LIGHT, render
from fabricated_runs import write_run, write_study


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    found = read_run(write_run(tmp_path_factory.mktemp("runs") / "run", 20.0), "run")
    assert isinstance(found, Run)
    return found


def runs_of(run: Run, errors: Any) -> list[Run]:
    return [replace(run, seed=seed, top1_error=float(error)) for seed, error in enumerate(errors)]


def compared(study: Path, arms: dict[str, tuple[dict[str, Any], list[float]]]) -> OneAtATime:
    comparison = compare(CompareConfig(str(write_study(study, arms)), None, None, None, 25.0, 0.95, []))
    assert isinstance(comparison, OneAtATime)
    return comparison


def test_start_rates_as_r(run: Run) -> None:
    """R, ?binom.test: 682 of 925, 95 percent confidence interval 0.7076683 to 0.7654066."""
    rate = start_rate(runs_of(run, [20] * 682 + [90] * 243), 0.95)
    assert (rate.started, rate.runs) == (682, 925)
    assert rate.interval == pytest.approx((0.7076683, 0.7654066), abs=1e-6)
    # all of five: the lower end is the fifth root of 0.025
    assert start_rate(runs_of(run, [20] * 5), 0.95).interval == pytest.approx((0.025**0.2, 1))


def test_an_arm_that_does_not_always_start_is_not_pooled(run: Run) -> None:
    baseline = runs_of(run, [20, 21, 22, 21.5])
    arms = {"a": runs_of(run, [22, 23, 24.5]), "b": runs_of(run, [23, 90, 24]), "c": runs_of(run, [23])}
    pooled = pool(arms, baseline)
    assert list(pooled.arms) == ["a"]
    assert pooled.left_out == {"b": "runs ended at chance", "c": "a single run has no spread"}
    # squares: 2.1875 about 21.125, and 3.1667 about 23.1667
    assert pooled.variance is not None
    assert pooled.variance.freedom == 5
    assert pooled.variance.deviation == pytest.approx(((2.1875 + 3.16667) / 5) ** 0.5, abs=1e-5)
    assert pool(arms, runs_of(run, [20, 90, 22])).refusal == "runs ended at chance (the baseline)"
    assert pool({"b": arms["b"]}, baseline).refusal == "b (runs ended at chance)"
    unequal = {"a": runs_of(run, [20, 20.1, 19.9, 20]), "b": runs_of(run, [10, 50, 5, 60])}
    assert "Levene's test, p = " in (pool(unequal, baseline).refusal or "")


def test_every_seed_of_the_baseline_counts(tmp_path: Path) -> None:
    """And every seed of an arm; paired are those of both."""
    baseline, arm = [20.0, 21.0, 22.0, 20.5, 21.8], [22.0, 23.1, 24.5]
    comparison = compared(tmp_path / "s", {"baseline": ({}, baseline), "a": ({"model.lrn": False}, arm)})
    (result,) = comparison.arms
    expected = stats.ttest_ind(arm, baseline).confidence_interval(0.95)
    assert result.top1_difference.pooled is not None and result.top1_difference.paired is not None
    assert result.top1 is result.top1_difference.pooled
    assert result.top1.interval == pytest.approx((expected.low, expected.high))
    paired = stats.ttest_rel(arm, baseline[:3]).confidence_interval(0.95)
    assert result.top1_difference.paired.interval == pytest.approx((paired.low, paired.high))
    assert comparison.baseline.mean_error() == pytest.approx(np.mean(baseline))
    assert result.probability_better == pytest.approx(
        0.5 / 15
    )  # 22.0 is in both, no other pair favours the arm


def test_a_seed_without_partner_counts_only_where_seeds_are_not_paired(tmp_path: Path) -> None:
    arms: dict[str, Any] = {"baseline": ({}, [20.0, 21.0, 22.0]), "a": ({}, [23.0, 22.5, 24.0, 23.4])}
    comparison = compared(tmp_path / "pooled", arms)
    assert [left.name for left in comparison.excluded] == ["baseline seed=3"]  # there is no such run
    assert comparison.arms[0].pairs == 3
    assert comparison.arms[0].top1 is not None
    assert comparison.arms[0].top1.mean == pytest.approx(np.mean(arms["a"][1]) - 21)
    arms["baseline"] = ({}, [20.0, 90.0, 22.0])
    comparison = compared(tmp_path / "paired", arms)
    assert [left.name for left in comparison.excluded] == ["baseline seed=3", "a seed=3"]


def test_runs_that_did_not_start_are_in_no_mean(tmp_path: Path) -> None:
    arms: dict[str, Any] = {
        "baseline": ({}, [20.0, 21.0, 22.5, 90.0]),
        "a": ({"model.lrn": False}, [22.0, 90.0, 23.5, 25.0]),
        "never": ({"model.dropout": 0.0}, [90.0, 90.0, 90.0, 90.0]),
    }
    comparison = compared(tmp_path / "s", arms)
    a, never = comparison.arms
    assert comparison.baseline.mean_error() == pytest.approx(63.5 / 3)
    assert a.mean_error() == pytest.approx(70.5 / 3)
    assert a.top1 is not None
    assert a.top1.differences == (2.0, 1.0)  # seeds 0 and 2 started in both
    assert (a.pairs, a.start.started, never.start.started) == (2, 3, 0)
    assert (never.top1, never.mean_error(), never.probability_better) == (None, None, None)
    for draw in applicable_charts(comparison).values():
        assert len(render(partial(draw, comparison), LIGHT, "png")) > 1000
    rows = {row["arm"]: row for row in csv_files(comparison)["arms.csv"]}
    assert (rows["a"]["top1_estimate"], rows["a"]["paired_top1_difference"]) == ("paired", "1.5")
    assert rows["a"]["pooled_top1_difference"] is None
    assert (rows["never"]["started"], rows["never"]["runs"], rows["never"]["top1_estimate"]) == (0, 4, None)
    lines = notes(comparison)
    assert lines[0] == (
        "Differences and intervals are paired by seed, each with its own variance. Not pooled: runs ended"
        " at chance (the baseline)."
    )
    assert any(
        line.startswith("6 of the 12 runs ended at chance (baseline seed=3, a seed=1") for line in lines
    )


@pytest.mark.parametrize("difference", [0.0, 0.5])
def test_equal_differences_are_said_in_one_way(tmp_path: Path, difference: float) -> None:
    arm = [20.0 + difference, 21.0 + difference]
    comparison = compared(tmp_path / "s", {"baseline": ({}, [20.0, 21.0]), "a": ({}, arm)})
    effect = comparison.arms[0].top1
    assert effect is not None
    assert (effect.mean, effect.interval, effect.significance) == (difference, None, Significance.no_spread)


def test_the_spread_of_seeds_and_of_the_validation_set(tmp_path: Path) -> None:
    comparison = compared(tmp_path / "s", {"baseline": ({}, [24.0, 26.0]), "a": ({}, [25.0, 25.5])})
    # sqrt(0.25 * 0.75 / 3925) = 0.691 percent: Imagenette's validation set
    assert comparison.baseline.binomial_error == pytest.approx(0.691, abs=5e-4)
    assert comparison.baseline.deviation == pytest.approx(2**0.5)


@pytest.mark.slow
def test_the_reported_intervals_hold_the_truth(run: Run) -> None:
    """Over 10,000 studies: pooled where Levene's test does not reject equal variances, else paired."""
    rng, studies, held = np.random.default_rng(5), 10_000, 0
    for _ in range(studies):
        baseline, arm, other = rng.normal(25, 0.7, 8), rng.normal(26, 0.7, 5), rng.normal(25, 0.7, 5)
        pooled = pool({"a": runs_of(run, arm), "b": runs_of(run, other)}, runs_of(run, baseline))
        if pooled.variance is None:
            effect = paired_effect(arm.tolist(), baseline[:5].tolist(), 0.95)
        else:
            effect = pooled_effect(pooled.arms["a"], pooled.baseline, pooled.variance, 0.95)
        assert effect.interval is not None
        held += effect.interval[0] <= 1 <= effect.interval[1]
    assert 0.94 <= held / studies <= 0.96


def test_a_run_that_diverged_did_not_start(tmp_path: Path) -> None:
    arms = {"baseline": [20.0, 21.0, 22.0], "no_lrn": [22.0, 23.0, 24.5], "tanh": [30.0, 31.0, 32.0]}
    study = write_study(tmp_path / "s", {arm: ({}, errors) for arm, errors in arms.items()})
    lost = study / "tanh/seed=3"
    write_run(lost, 90.0, seed=3, status="failed", error="the loss is not finite", diverged=True)
    comparison = compare(CompareConfig(str(study), None, None, None, 25.0, 0.95, []))
    assert isinstance(comparison, OneAtATime)
    (tanh,) = (arm for arm in comparison.arms if arm.name == "tanh")
    assert (tanh.start.started, tanh.start.runs) == (3, 4)
    assert tanh.mean_error() == 31.0
    assert comparison.pool.left_out == {"tanh": "runs diverged"}
    assert [left.name for left in comparison.excluded] == ["tanh seed=3", "baseline seed=3", "no_lrn seed=3"]
