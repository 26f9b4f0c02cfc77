"""Paired differences against published and hand-worked examples, and over many simulated studies."""

import numpy as np
import pytest
from scipy import stats

from alexnet.compare.effects import Significance, paired_effect

# Student (1908), "The probable error of a mean": hours of sleep gained by ten patients from two drugs.
# t.test(..., paired = TRUE) on R's data set `sleep`: mean 1.58, t = 4.0621, p = 0.002833,
# 95 percent confidence interval 0.7001142 to 2.4598858.
FIRST = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]
SECOND = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]


def test_students_sleep_data() -> None:
    effect = paired_effect(SECOND, FIRST, 0.95)
    assert len(effect.differences) == 10
    assert effect.mean == pytest.approx(1.58)
    assert effect.interval == pytest.approx((0.7001142, 2.4598858), abs=1e-6)
    assert effect.significance is Significance.higher


@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.99])
def test_as_scipys_paired_test(confidence: float) -> None:
    rng = np.random.default_rng(0)
    arm, baseline = rng.normal(20, 1, 6), rng.normal(19, 1, 6)
    expected = stats.ttest_rel(arm, baseline).confidence_interval(confidence)
    assert paired_effect(arm, baseline, confidence).interval == pytest.approx((expected.low, expected.high))


def test_by_hand() -> None:
    # differences 1, 2, 3: mean 2, standard deviation 1, standard error 1/sqrt(3) = 0.57735;
    # Student's t at 97.5% with 2 degrees of freedom is 4.302653; half of the interval 2.484138
    effect = paired_effect([21, 23, 25], [20, 21, 22], 0.95)
    assert effect.differences == (1, 2, 3)
    assert effect.interval == pytest.approx((2 - 2.484138, 2 + 2.484138), abs=1e-6)
    assert effect.significance is Significance.unresolved
    assert not effect.resolved


@pytest.mark.parametrize(
    ("arm", "baseline", "significance", "interval"),
    [
        ([30.0], [20.0], Significance.one_pair, None),
        ([20.5, 21.25], [20.5, 21.25], Significance.unresolved, (0, 0)),
        ([20.6, 21.3, 22.2], [20.5, 21.2, 22.1], Significance.no_spread, None),
        ([25.0, 26.1, 27.0], [20.0, 21.0, 22.1], Significance.higher, (4.7516, 5.2484)),
        ([20.0, 21.0, 22.1], [25.0, 26.1, 27.0], Significance.lower, (-5.2484, -4.7516)),
    ],
)
def test_significance(
    arm: list[float], baseline: list[float], significance: Significance, interval: tuple[float, float] | None
) -> None:
    effect = paired_effect(arm, baseline, 0.95)
    assert effect.significance is significance
    if interval is None:
        assert effect.interval is None
    else:
        assert effect.interval == pytest.approx(interval, abs=1e-4)


@pytest.mark.parametrize("seeds", [2, 3, 8])
def test_the_interval_holds_the_truth_as_often_as_it_says(seeds: int) -> None:
    """Seeds share a part between arms, which pairing takes out; standard error of the share: 0.5%."""
    rng, truth, studies, held = np.random.default_rng(1), 1.4, 2000, 0
    for _ in range(studies):
        shared = rng.normal(40, 2, seeds)
        arm, baseline = shared + truth + rng.normal(0, 0.3, seeds), shared + rng.normal(0, 0.3, seeds)
        low, high = paired_effect(arm, baseline, 0.95).interval or (0, 0)
        held += low <= truth <= high
    assert held / studies == pytest.approx(0.95, abs=0.02)
