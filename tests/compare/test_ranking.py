"""The letters of arms against statsmodels' Tukey test, a textbook's example, and their definition."""

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from statsmodels.stats.multicomp import pairwise_tukeyhsd

from alexnet.compare.comparison import compare
from alexnet.compare.effects import pooled_variance
from alexnet.compare.one_at_a_time import OneAtATime
from alexnet.compare.outline import outline
from alexnet.compare.pooling import Pool
from alexnet.compare.ranking import HEADING, letter_groups, rank
from alexnet.config import CompareConfig
from fabricated_runs import write_study

# Montgomery, Design and Analysis of Experiments: tensile strength by percentage of cotton. At 95% Tukey's
# test tells all pairs apart but 15 and 35, 35 and 20, 20 and 25, 25 and 30 percent
COTTON = {
    "15": [7, 7, 15, 11, 9],
    "20": [12, 17, 12, 18, 18],
    "25": [14, 18, 18, 19, 19],
    "30": [19, 25, 22, 19, 23],
    "35": [7, 10, 11, 15, 11],
}


def pool_of(groups: dict[str, list[float]], baseline: str) -> Pool:
    arrays = {name: np.array(group, float) for name, group in groups.items()}
    arms = {name: group for name, group in arrays.items() if name != baseline}
    return Pool(arrays[baseline], arms, {}, pooled_variance([*arrays.values()]))


def test_a_textbook_s_example() -> None:
    groups = {name: [float(value) for value in values] for name, values in COTTON.items()}
    ranked = rank(pool_of(groups, "15"), "15", 0.95)
    assert [arm.name for arm in ranked] == ["15", "35", "20", "25", "30"]
    assert ranked[0].error == 9.8
    assert [arm.letters for arm in ranked] == ["a", "ab", "bc", "cd", "d"]


def test_they_share_a_letter_where_statsmodels_rejects_nothing() -> None:
    """Groups of different sizes, from equal to far apart."""
    rng = np.random.default_rng(0)
    for _ in range(20):
        groups = {
            f"arm{number}": list(rng.normal(20 + rng.uniform(0, 2), 0.7, rng.integers(2, 8)))
            for number in range(6)
        }
        ranked = {arm.name: set(arm.letters) for arm in rank(pool_of(groups, "arm3"), "arm3", 0.9)}
        names = [name for name, group in groups.items() for _ in group]
        result = pairwise_tukeyhsd([value for group in groups.values() for value in group], names, alpha=0.1)
        for (one, other), reject in zip(combinations(result.groupsunique, 2), result.reject, strict=True):
            assert bool(ranked[one] & ranked[other]) is not bool(reject)


def test_letters_say_what_differs_and_no_more() -> None:
    """For any relation, even one that no set of means has."""
    rng = np.random.default_rng(1)
    for count in range(1, 9):
        upper = np.triu(rng.random((count, count)) < rng.random(), 1)
        groups = letter_groups(upper | upper.T)
        for one, other in combinations(range(count), 2):
            assert any({one, other} <= group for group in groups) is not bool(upper[one, other])
        assert not any(one < other for one in groups for other in groups)
        assert frozenset().union(*groups) == frozenset(range(count))
        assert groups[0] >= {0}


def test_the_report_ranks_the_arms(tmp_path: Path) -> None:
    study = tmp_path / "study"
    write_study(study, {"baseline": ({}, [20.0, 20.5, 21.2])})
    arms = {
        "no_lrn": ({"model.lrn": False}, [20.4, 20.9, 21.1]),
        "tanh": ({"model.activation": "tanh"}, [30.0, 30.8, 31.1]),
        "sigmoid": ({"model.activation": "sigmoid"}, [88.0, 30.8, 31.1]),
    }
    write_study(study, arms)
    comparison = compare(CompareConfig(str(study), None, None, None, 25.0, 0.95, []))
    assert isinstance(comparison, OneAtATime)
    (section,) = [section for section in outline(comparison).sections if section.heading == HEADING]
    assert section.table.rows == [
        ["baseline", "20.57%", "a"],
        ["no_lrn", "20.80%", "a"],
        ["tanh", "30.63%", "b"],
    ]
    assert section.sentences[1] == "Without sigmoid (runs ended at chance)."


@pytest.mark.parametrize("arms", [1, 0])
def test_one_arm_needs_no_ranking(arms: int) -> None:
    groups = {"baseline": [20.0, 21.0, 23.0], **dict(list({"a": [1.0, 2.0, 3.0]}.items())[:arms])}
    assert rank(pool_of(groups, "baseline"), "baseline", 0.95) == []
    assert rank(Pool(refusal="unequal"), "baseline", 0.95) == []
