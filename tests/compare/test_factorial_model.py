"""Effects of two-level designs against a textbook, plain least squares and theory, and over many studies."""

from itertools import combinations

import numpy as np
import pytest
from pydoe import fracfact
from scipy import stats

from alexnet.compare.effects import Significance
from alexnet.compare.factorial.model import FactorialFit, NotEstimableError, fit_factorial
from alexnet.compare.factorial.terms import Levels, Term, estimable_terms
from alexnet.errors import UserError

# Montgomery, Design and Analysis of Experiments, the pilot plant filtration rate experiment: an unreplicated
# 2^4 design in standard order, (1), a, b, ab, c, ..., abcd, and the effects that he prints for it
FILTRATION = [45, 71, 48, 65, 68, 60, 80, 65, 43, 100, 45, 104, 75, 86, 70, 96]
EFFECTS = {
    **{"A": 21.625, "B": 3.125, "C": 9.875, "D": 14.625},
    **{"A:B": 0.125, "A:C": -18.125, "A:D": 16.625, "B:C": 2.375, "B:D": -0.375, "C:D": -1.125},
}
SIX = list("uvwxyz")


def standard_order(factors: int) -> Levels:
    return np.array(
        [[1.0 if run >> bit & 1 else -1.0 for bit in range(factors)] for run in range(2**factors)]
    )


def fitted(
    factors: list[str], levels: Levels, errors: np.ndarray, seeds: list[int] | None = None
) -> FactorialFit:
    return fit_factorial(factors, estimable_terms(factors, levels), levels, errors, seeds, 0.95)


def test_montgomerys_filtration_rates() -> None:
    levels = standard_order(4)
    fit = fitted(list("ABCD"), levels, np.array(FILTRATION, dtype=float))
    assert {term.name: effect.mean for term, effect in fit.averaged.items()} == pytest.approx(EFFECTS)
    # what is left are the interactions of three and four factors, from the book:
    # ABC 1.875, ABD 4.125, ACD -1.625, BCD -2.625, ABCD 1.375: 4 (sum of squares) / 5 degrees of freedom
    squares = 4 * sum(effect**2 for effect in (1.875, 4.125, -1.625, -2.625, 1.375))
    assert (fit.freedom, fit.deviation) == (5, pytest.approx((squares / 5) ** 0.5))
    half = 2.570582 * fit.deviation * 2 / 16**0.5  # Student's t with 5 degrees of freedom
    for name, effect in ((term.name, effect) for term, effect in fit.averaged.items()):
        assert effect.interval == pytest.approx((EFFECTS[name] - half, EFFECTS[name] + half))
    resolved = {term.name for term, effect in fit.averaged.items() if effect.resolved}
    assert resolved == {"A", "C", "D", "A:C", "A:D"}  # those that he finds


def test_removed_alone_as_plain_least_squares() -> None:
    """The prediction with the factor minus that without it, all others at the baseline's level."""
    levels, errors = standard_order(4), np.array(FILTRATION, dtype=float)
    fit = fitted(list("ABCD"), levels, errors)

    def row(point: np.ndarray) -> np.ndarray:
        return np.array([1, *point, *(point[i] * point[j] for i, j in combinations(range(4), 2))])

    design = np.array([row(point) for point in levels])
    inverse = np.linalg.inv(design.T @ design)
    coefficients = inverse @ design.T @ errors
    residual = errors - design @ coefficients
    for factor, name in enumerate("ABCD"):
        without = -np.ones(4)
        changed = without.copy()
        changed[factor] = 1
        contrast = row(changed) - row(without)
        error = (residual @ residual / 5 * contrast @ inverse @ contrast) ** 0.5
        expected = contrast @ coefficients
        effect = fit.removed[name]
        assert effect is not None
        assert effect.mean == pytest.approx(expected)
        assert effect.interval == pytest.approx(
            (expected - 2.570582 * error, expected + 2.570582 * error), rel=1e-5
        )


def test_by_hand_with_seeds_as_blocks() -> None:
    # two factors, two seeds, the second one 10 higher: without blocks it would be noise
    levels = np.tile(standard_order(2), (2, 1))
    errors = np.array([20, 22, 21, 25, 30.2, 32, 31, 34.8])
    fit = fitted(["a", "b"], levels, errors, [0] * 4 + [1] * 4)
    # a: (22 + 25 + 32 + 34.8 - 20 - 21 - 30.2 - 31) / 4; b: (21 + 25 + 31 + 34.8 - 20 - 22 - 30.2 - 32) / 4
    # a:b: (20 + 25 + 30.2 + 34.8 - 22 - 21 - 32 - 31) / 4
    assert [effect.mean for effect in fit.averaged.values()] == pytest.approx([2.9, 1.9, 1.0])
    assert (fit.freedom, fit.blocks) == (3, True)
    # the seeds differ by 10.2, 10, 10, 9.8: residuals 0.1, 0, 0, -0.1 each way, squares 0.04 in all
    assert fit.deviation == pytest.approx((0.04 / 3) ** 0.5)
    without = fitted(["a", "b"], levels, errors)
    assert without.deviation > 30 * fit.deviation


@pytest.mark.parametrize("blocked", [False, True])
def test_lack_of_fit_by_sums_of_squares(blocked: bool) -> None:
    """Two replicates of 2^3; the interaction of all three is what the model leaves out."""
    levels = np.repeat(standard_order(3), 2, axis=0)
    seeds = [0, 1] * 8 if blocked else None
    errors = np.random.default_rng(3).normal(0, 1, 16) + 0.6 * levels.prod(axis=1) + np.tile([0, 0.5], 8)
    first, second = errors[::2], errors[1::2]
    interaction = 16 * (levels.prod(axis=1) @ errors / 16) ** 2  # with one degree of freedom
    between = first - second - ((first - second).mean() if blocked else 0)
    freedom = 8 - blocked
    pure = (between**2).sum() / 2 / freedom
    expected = stats.f.sf(interaction / pure, 1, freedom)
    assert fitted(list("ABC"), levels, errors, seeds).lack_of_fit == pytest.approx(expected)


def test_replicates_make_effects_those_of_the_means_of_cells() -> None:
    """Whatever interacts, and however many runs a cell has; each seed's own mean is taken off."""
    rng, cells = np.random.default_rng(0), standard_order(3)
    planted = rng.normal(25, 3, 8)  # interactions of all orders
    seeds = [seed for cell in range(8) for seed in range(2 if cell else 6)]  # six of the baseline
    index = np.repeat(np.arange(8), [6, *[2] * 7])
    shifts = np.array([0, 5, -3, 2, 8, 1])
    fit = fitted(list("ABC"), cells[index], planted[index] + shifts[seeds] + rng.normal(0, 1e-6, 20), seeds)
    assert fit.replicated
    assert fit.freedom == 20 - 8 - 5
    for place, name in enumerate("ABC"):
        removed, averaged = fit.removed[name], fit.averaged[Term((name,))]
        assert removed is not None
        assert removed.mean == pytest.approx(planted[1 << place] - planted[0], abs=1e-5)
        changed = cells[:, place] > 0
        assert averaged.mean == pytest.approx(planted[changed].mean() - planted[~changed].mean(), abs=1e-5)


def test_the_interval_between_two_cells_is_student_s() -> None:
    cells = np.repeat(standard_order(2), 3, axis=0)
    errors = np.random.default_rng(1).normal(25, 1, 12)
    effect = fitted(["a", "b"], cells, errors).removed["a"]
    groups = errors.reshape(4, 3)
    half = stats.t.ppf(0.975, 8) * (groups.var(axis=1, ddof=1).mean() * 2 / 3) ** 0.5
    mean = groups[1].mean() - groups[0].mean()
    assert effect is not None
    assert effect.interval == pytest.approx((mean - half, mean + half))


def test_no_lack_of_fit_can_be_seen() -> None:
    alone, errors = standard_order(3), np.random.default_rng(0).normal(0, 1, 32)
    assert fitted(list("ABC"), alone, errors[:8]).lack_of_fit is None  # no replicates
    saturated = np.repeat(standard_order(2), 2, axis=0)
    assert fitted(list("AB"), saturated, errors[:8]).lack_of_fit is None  # as many effects as cells


def test_as_many_effects_as_runs() -> None:
    fit = fitted(["a", "b"], standard_order(2), np.array([20.0, 22, 21, 25]))
    assert (fit.deviation, fit.freedom) == (None, 0)
    effects = [*fit.averaged.values(), *fit.removed.values()]
    assert {effect.significance for effect in effects if effect} == {Significance.no_freedom}
    # removed alone: the cell that changes it minus the baseline
    assert [effect.mean for effect in fit.removed.values() if effect] == pytest.approx([2, 1])


def test_runs_without_spread_have_no_interval() -> None:
    levels = np.tile(standard_order(2), (2, 1))
    fit = fitted(["a", "b"], levels, np.array([20.0, 22, 21, 25] * 2))
    assert {effect.significance for effect in fit.averaged.values()} == {Significance.no_spread}


def names(terms: list[Term]) -> list[str]:
    return [term.name for term in terms]


def test_what_each_fraction_can_estimate() -> None:
    assert len(estimable_terms(SIX, fracfact("a b c d e abcde"))) == 6 + 15
    # Montgomery's 2^(6-2) with E = ABC and F = BCD (its alias table)
    expected = [
        "A:B = C:E",
        "A:C = B:E",
        "A:D = E:F",
        "A:E = B:C = D:F",
        "A:F = D:E",
        "B:D = C:F",
        "B:F = C:D",
    ]
    assert names(estimable_terms(list("ABCDEF"), fracfact("a b c d abc bcd")))[6:] == expected
    # of resolution III: a 2^(3-1) with C = AB has main effects only
    assert names(estimable_terms(list("ABC"), fracfact("a b ab"))) == ["A", "B", "C"]
    # the other half of a 2^(4-1): D = -ABC
    cells = fracfact("a b c abc") * [1, 1, 1, -1]
    assert names(estimable_terms(list("ABCD"), cells))[4:] == ["A:B = -C:D", "A:C = -B:D", "A:D = -B:C"]


def test_aliased_interactions_are_added_up() -> None:
    levels, factors = fracfact("a b c abc") * [1, 1, 1, -1], list("ABCD")
    a, b, c, d = levels.T
    errors = 20 + 0.5 * a + 0.3 * a * b + 0.1 * c * d + 0.01 * a * b * c * d
    fit = fitted(factors, np.tile(levels, (2, 1)), np.tile(errors, 2) + np.tile([0.1, -0.1], 8))
    effect = next(effect for term, effect in fit.averaged.items() if term.name == "A:B = -C:D")
    assert effect.mean == pytest.approx(2 * (0.3 - 0.1))
    assert fit.removed == dict.fromkeys(factors)  # takes A:B and C:D apart


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ([[-1, -1], [-1, 1]], "The effect of a cannot be estimated: all arms have the same level of it."),
        ([[-1, -1], [1, 1]], "a and b cannot be told apart"),
        ([[-1, 1], [1, -1]], "cannot be told apart"),
    ],
)
def test_designs_without_information(cells: list[list[float]], message: str) -> None:
    with pytest.raises(UserError, match=message):
        estimable_terms(["a", "b"], np.array(cells, dtype=float))


def test_runs_that_are_not_enough() -> None:
    factors, cells = list("abc"), standard_order(3)
    terms = estimable_terms(factors, cells)
    with pytest.raises(NotEstimableError):
        fit_factorial(factors, terms, cells[[0, 1, 2, 4, 6]], np.ones(5), None, 0.95)


def test_the_half_fraction_of_32_runs_resolves_a_point() -> None:
    """Half-widths within 10% of 0.79 sigma on average; power by the noncentral t distribution."""
    rng, levels, studies = np.random.default_rng(0), fracfact("a b c d e abcde"), 200
    widths, resolved, false, held = [], 0, 0, 0
    for _ in range(studies):
        fit = fitted(SIX, levels, 25 + 0.5 * levels[:, 0] + rng.normal(0, 0.7, 32))
        planted, null = (fit.averaged[Term((name,))] for name in ("u", "v"))
        assert planted.interval is not None
        widths.append((planted.interval[1] - planted.interval[0]) / 2)
        resolved, false = resolved + planted.resolved, false + null.resolved
        held += planted.interval[0] <= 1 <= planted.interval[1]
    assert np.mean(widths) == pytest.approx(0.79 * 0.7, rel=0.1)
    power = stats.nct.sf(stats.t.ppf(0.975, 10), 10, 1 / (0.7 * 2 / 32**0.5))
    deviations = 4 / studies**0.5  # four standard errors of a share, at most
    assert resolved / studies == pytest.approx(power, abs=deviations * (power * (1 - power)) ** 0.5)
    assert false / studies == pytest.approx(0.05, abs=deviations * 0.22)
    assert held / studies == pytest.approx(0.95, abs=deviations * 0.22)


@pytest.mark.slow
def test_the_coverage_of_10000_factorials() -> None:
    """Both estimands and an interaction: a full 2^3 with two seeds as blocks, which differ by 2 points."""
    rng, factors, studies = np.random.default_rng(4), list("abc"), 10_000
    levels = np.tile(standard_order(3), (2, 1))
    a, b, _ = levels.T
    truth = 25 + 0.7 * a - 0.3 * b + 0.2 * a * b
    seeds, held = [0] * 8 + [1] * 8, np.zeros(3)
    for _ in range(studies):
        errors = truth + np.repeat(rng.normal(0, 2, 2), 8) + rng.normal(0, 0.7, 16)
        fit = fitted(factors, levels, errors, seeds)
        removed = fit.removed["a"]
        assert removed is not None
        averaged = [fit.averaged[Term(("a",))], fit.averaged[Term(("a", "b"))]]
        expected = zip([*averaged, removed], (1.4, 0.4, 1.0), strict=True)
        for index, (effect, value) in enumerate(expected):
            assert effect.interval is not None
            held[index] += effect.interval[0] <= value <= effect.interval[1]
    assert (held / studies >= 0.94).all() and (held / studies <= 0.96).all(), held
