"""Designs, against what textbooks say of them."""

import math
from itertools import combinations
from typing import Any

import numpy as np
import pytest

from alexnet.config.study import Design, PilotArms, PilotConfig, StudyConfig
from alexnet.errors import UserError
from alexnet.studies.design import arm_name, plan_study

PILOT: dict[str, Any] = {
    "arms": PilotArms.mirrored,
    "rates": None,
    "grid": {},
    "seeds": 1,
    "first_seed": 9,
    "measure": "val/top1_error",
    "overrides": [],
    "hold_out": 0.2,
    "extensions": 1,
}


def study(factors: int | list[str], design: str = "one_at_a_time", **keys: Any) -> StudyConfig:
    names = list("abcdefghijklmnopqrst"[:factors]) if isinstance(factors, int) else factors
    given: dict[str, Any] = {
        "name": "s",
        "title": "S",
        "group": "experiment",
        "baseline": "baseline",
        "factors": names,
        "design": Design(design),
        "resolution": 5,
        "seeds": 3,
        "baseline_seeds": None,
        "onto_baseline": False,
        "pilot": None,
    }
    return StudyConfig(**given | keys)


def levels(config: StudyConfig) -> np.ndarray:
    """(runs, factors), -1 or 1."""
    arms = plan_study(config, 0).arms.values()
    return np.array([[1 if factor in arm else -1 for factor in config.factors] for arm in arms])


def test_one_at_a_time_has_more_seeds_of_the_baseline() -> None:
    plan = plan_study(study(6), 10)
    assert plan.arms == {"baseline": [], **{name: [name] for name in "abcdef"}}
    assert plan.seeds["a"] == [10, 11, 12]
    assert plan.seeds["baseline"] == list(range(10, 18))  # 3 times the square root of 6 is 7.3
    assert plan.runs == 8 + 18
    assert plan_study(study(4, baseline_seeds=3), 0).runs == 15


def test_cumulative_adds_each_factor_to_those_before() -> None:
    plan = plan_study(study(3, "cumulative"), 10)
    assert plan.arms == {"baseline": [], "+a": ["a"], "+b": ["a", "b"], "+c": ["a", "b", "c"]}
    assert {arm: len(seeds) for arm, seeds in plan.seeds.items()} == {
        "baseline": 6,
        "+a": 3,
        "+b": 3,
        "+c": 3,
    }


def test_more_seeds_or_factors_keep_the_runs_that_there_are() -> None:
    def runs(config: StudyConfig) -> set[tuple[str, int]]:
        return {(arm, seed) for arm, seeds in plan_study(config, 0).seeds.items() for seed in seeds}

    assert runs(study(3)) < runs(study(3, seeds=5))
    assert runs(study(3)) < runs(study(4))
    assert runs(study(3, "factorial")) < runs(study(4, "factorial"))


def test_factorial_is_all_combinations() -> None:
    plan = plan_study(study(["a", "b", "c"], "factorial"), 0)
    subsets = [list(chosen) for count in range(4) for chosen in combinations("abc", count)]
    assert sorted(plan.arms.values()) == sorted(subsets)
    assert {"baseline", "a", "a+b", "a+b+c"} <= plan.arms.keys()
    assert plan.runs == 24
    assert not plan.aliases


@pytest.mark.parametrize(
    ("factors", "resolution", "runs"),
    [(5, 5, 16), (6, 6, 32), (6, 4, 16), (7, 4, 16), (7, 3, 8), (8, 5, 64)],  # NIST handbook, 5.3.3.4.7
)
def test_fractions_have_their_resolution(factors: int, resolution: int, runs: int) -> None:
    config = study(factors, "fraction", resolution=resolution)
    rows = levels(config)
    assert rows.shape == (runs, factors)
    assert len({tuple(row) for row in rows}) == runs
    assert (rows == -1).all(axis=1).any()  # the baseline is one of them
    # resolution R: no product of fewer than R columns is constant
    for count in range(1, resolution):
        for columns in combinations(range(factors), count):
            assert abs(rows[:, columns].prod(axis=1).sum()) < runs, columns
    clear = not plan_study(config, 0).aliases
    assert clear == (resolution >= 5)


def test_the_pilot_of_a_factorial_has_mirror_images() -> None:
    a, b, c, d = "abcd"
    mirrored = PilotConfig(**PILOT)
    pilot = list(plan_study(study(4, "factorial", pilot=mirrored), 0).pilot_arms.values())
    alone = [[], [a], [b], [c], [d]]
    assert pilot == [*alone, [a, b, c, d], [b, c, d], [a, c, d], [a, b, d], [a, b, c]]
    for design in ("one_at_a_time", "cumulative"):
        plan = plan_study(study(4, design, pilot=mirrored), 0)
        assert plan.pilot_arms == plan.arms
    everything = PilotConfig(**PILOT | {"arms": PilotArms.all})
    plan = plan_study(study(4, "factorial", pilot=everything), 0)
    assert plan.pilot_arms == plan.arms
    assert len(plan.arms) == 16


def test_aliases_are_named() -> None:
    config = study(4, "fraction", resolution=4)
    rows, aliases = levels(config), plan_study(config, 0).aliases
    assert len(rows) == 8
    assert sorted(aliases) == ["a:b = c:d", "a:c = b:d", "a:d = b:c"]  # d = abc, as in every textbook
    for alias in aliases:
        left, right = (
            math.prod(rows[:, "abcd".index(factor)] for factor in term.split(":"))
            for term in alias.split(" = ")
        )
        assert abs((left * right).sum()) == len(rows)


@pytest.mark.parametrize(
    ("config", "told"),
    [
        (study(1, "factorial"), "1 factors. It takes 2 to 16"),
        (study(17, "factorial"), "17 factors. It takes 2 to 16"),
        (study(3, "fraction"), "with 3 factors only all 8 combinations have resolution 5"),
        (study(3, "fraction", resolution=9), "Lower"),
    ],
)
def test_designs_that_cannot_be(config: StudyConfig, told: str) -> None:
    with pytest.raises(UserError, match=told):
        plan_study(config, 0)


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"factors": []}, "study.factors"),
        ({"factors": ["a", "b", "a"]}, "each factor once"),
        ({"factors": ["baseline"]}, "not the baseline"),
        ({"baseline_seeds": 2}, "at least study.seeds=3"),
        ({"resolution": 2}, "3 or more"),
        ({"seeds": 0}, "1 or more"),
        (
            {"design": "factorial", "pilot": PilotConfig(**PILOT | {"grid": {"a.b": [1, 2]}})},
            "pilot.arms=all",
        ),
        (
            {"design": "fraction", "pilot": PilotConfig(**PILOT | {"rates": [0.1, 0.2]})},
            "three or more rates",
        ),
    ],
)
def test_values_out_of_range(keys: dict[str, Any], told: str) -> None:
    with pytest.raises(UserError, match=told):
        study(**{"factors": 3} | keys)


def test_names_of_arms_are_folders() -> None:
    assert arm_name([], "plain") == "plain"
    assert arm_name(["no_lrn", "model.dropout=0 data.augment.crop=false"], "b") == (
        "no_lrn+model.dropout=0_data.augment.crop=false"
    )
    names = {
        arm_name([f"data.augment.number_{n}.enabled=true" for n in range(9)] + [end], "b") for end in "xy"
    }
    assert len(names) == 2
    assert all(len(name) < 200 for name in names)


def test_pilot_values_out_of_range() -> None:
    for key, value in {
        "rates": [0.1],
        "grid": {"a": [1]},
        "seeds": 0,
        "measure": "top1_error",
        "overrides": ["lr"],
        "hold_out": 1,
        "extensions": -1,
    }.items():
        with pytest.raises(UserError, match=f"study.pilot.{key}"):
            PilotConfig(**PILOT | {key: value})
