"""Paired differences against published and hand-worked examples, and over many simulated studies."""

import numpy as np
import pytest
from scipy import stats

from alexnet.compare.effects import (
    Significance,
    paired_effect,
    pooled_effect,
    pooled_variance,
    probability_better,
)

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
        ([20.5, 21.25], [20.5, 21.25], Significance.no_spread, None),
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


# R's data set PlantGrowth: dried weight of plants, ten of a control and ten of each of two treatments.
CONTROL = [4.17, 5.58, 5.18, 6.11, 4.50, 4.61, 5.17, 4.53, 5.33, 5.14]
TREATMENTS = (
    [4.81, 4.17, 4.41, 3.59, 5.87, 3.83, 6.03, 4.89, 4.32, 4.69],
    [6.31, 5.12, 5.54, 5.50, 5.37, 5.29, 4.92, 6.15, 5.80, 5.26],
)


def test_as_rs_linear_model_of_plant_growth() -> None:
    """summary(lm(weight ~ group)): -0.371 and 0.494, standard error 0.2788, residual 0.6234 with 27 df."""
    control, *treatments = map(np.array, (CONTROL, *TREATMENTS))
    variance = pooled_variance([control, *treatments])
    assert (variance.deviation, variance.freedom) == (pytest.approx(0.6234, abs=5e-5), 27)
    # confint(): 2.0518 is Student's t at 97.5 percent
    for treatment, mean in zip(treatments, (-0.371, 0.494), strict=True):
        effect = pooled_effect(treatment, control, variance, 0.95)
        half = 2.0518 * 0.2788
        assert effect.mean == pytest.approx(mean)
        assert effect.interval == pytest.approx((mean - half, mean + half), abs=2e-4)
        assert effect.significance is Significance.unresolved


def test_groups_of_other_sizes_as_scipy() -> None:
    """With two groups it is Student's test of two samples."""
    arm, baseline = np.array([20.0, 22.5, 21.0]), np.array([19.0, 18.0, 20.5, 18.8, 19.9])
    expected = stats.ttest_ind(arm, baseline).confidence_interval(0.9)
    effect = pooled_effect(arm, baseline, pooled_variance([arm, baseline]), 0.9)
    assert effect.interval == pytest.approx((expected.low, expected.high))
    assert effect.significance is Significance.higher
    alone = pooled_variance([arm, baseline, np.array([7.0])])  # a single run tells nothing of the spread
    assert alone == pooled_variance([arm, baseline])
    with pytest.raises(ValueError, match="no group has two values"):
        pooled_variance([np.array([1.0]), np.array([2.0])])


def test_the_probability_that_an_arm_is_better() -> None:
    """R, ?wilcox.test: x and y of ten and five, W = 35 of 50 pairs; and by hand, with ties."""
    x = [0.80, 0.83, 1.89, 1.04, 1.45, 1.38, 1.91, 1.64, 0.73, 1.46]
    y = [1.15, 0.88, 0.90, 0.74, 1.21]
    assert probability_better(y, x) == 0.7
    assert probability_better([20.0, 21.0], [21.0, 22.0]) == (1 + 1 + 0.5 + 1) / 4
    assert probability_better([30.0], [20.0]) == 0


def covered(rng: np.random.Generator, studies: int, truth: float) -> dict[str, float]:
    """How often intervals of either kind hold the truth: five seeds of three arms, eleven of the baseline."""
    held = {"paired": 0, "pooled": 0}
    for _ in range(studies):
        baseline = rng.normal(25, 0.7, 11)
        arms = [rng.normal(25 + effect, 0.7, 5) for effect in (truth, 0.0, 3.0)]
        effects = {
            "paired": paired_effect(arms[0], baseline[:5], 0.95),
            "pooled": pooled_effect(arms[0], baseline, pooled_variance([baseline, *arms]), 0.95),
        }
        for kind, effect in effects.items():
            assert effect.interval is not None
            held[kind] += effect.interval[0] <= truth <= effect.interval[1]
    return {kind: number / studies for kind, number in held.items()}


@pytest.mark.parametrize("truth", [0.0, 1.4])
def test_planted_effects_are_in_the_interval(truth: float) -> None:
    """Standard error of the share: 1 percent; by chance it deviates by four of them once in 16,000 times."""
    for share in covered(np.random.default_rng(2), 475, truth).values():
        assert share == pytest.approx(0.95, abs=0.04)


@pytest.mark.slow
@pytest.mark.parametrize("truth", [0.0, 1.4])
def test_the_coverage_of_10000_studies(truth: float) -> None:
    for share in covered(np.random.default_rng(3), 10_000, truth).values():
        assert 0.94 <= share <= 0.96
