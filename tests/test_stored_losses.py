"""Training is what it was: the first losses of every network and switch are those stored."""

from pathlib import Path

import pytest

from conftest import PROJECT
from stored_losses import CASES, SLOW, STEPS, differences, losses_of, make_pictures, read_stored


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("stored_losses") / "pictures"
    make_pictures(root)
    return root


@pytest.mark.parametrize(
    "case", [pytest.param(case, marks=pytest.mark.slow if case in SLOW else ()) for case in CASES]
)
def test_losses_are_those_stored(case: str, pictures: Path) -> None:
    """To store them anew: python tests/stored_losses.py"""
    changed = differences(case, losses_of(case, pictures), read_stored()[case])
    assert not changed, "\n".join(changed)


def test_every_case_is_stored_and_no_two_are_alike() -> None:
    stored = read_stored()
    assert list(stored) == list(CASES)
    assert {len(losses) for losses in stored.values()} == {STEPS}
    assert len({losses[-1] for losses in stored.values()}) == len(CASES)


@pytest.mark.parametrize("group", ["model", "optimizer", "scheduler", "loss"])
def test_every_choice_is_a_case(group: str) -> None:
    choices = {path.stem for path in (PROJECT / "conf" / group).glob("[!_]*.yaml")}
    chosen = {word for line in CASES.values() for word in line.split()}
    assert {choice for choice in choices if f"{group}={choice}" not in chosen} == set()


def test_a_changed_step_is_named() -> None:
    stored = [2.0, 1.0]
    assert differences("tanh", [2.0 + 1e-10, 1.0], stored) == []
    assert differences("tanh", [2.0, 1.0 + 1e-8], stored) == [
        "tanh, step 2: 1.00000001, but stored is 1.0",
    ]
    assert differences("tanh", [float("nan"), 1.0], stored)
