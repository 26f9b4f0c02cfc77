"""The choice of the pilot, and the grid that goes on at its edges."""

import math
from pathlib import Path

import numpy as np
import pytest

from alexnet.config.study import Design, PilotConfig
from alexnet.errors import UserError
from alexnet.studies.pilot import RATE, Grid, choose, nearest, summarize, values_name
from alexnet.studies.record import StudyRecord, Trial, read_record
from alexnet.studies.start import has_started


def trials(errors: dict[float, list[float | None]]) -> list[Trial]:
    return [
        Trial("arm", {RATE: rate}, seed, error, error is not None and error < 85)
        for rate, row in errors.items()
        for seed, error in enumerate(row)
    ]


def test_the_lowest_error_is_chosen() -> None:
    assert choose(trials({0.01: [30.0, 32.0], 0.02: [29.0, 31.0], 0.04: [28.0, 35.0]})) == {RATE: 0.02}


def test_a_rate_at_which_all_start_goes_before_a_better_one() -> None:
    assert choose(trials({0.01: [40.0, 42.0], 0.02: [10.0, 90.0]})) == {RATE: 0.01}
    assert choose(trials({0.01: [40.0, 42.0], 0.02: [10.0, None]})) == {RATE: 0.01}
    assert choose(trials({0.01: [90.0, 90.0], 0.02: [88.0, None], 0.04: [87.0, 90.0]})) == {RATE: 0.04}


# of a real pilot, two runs at each rate; larger rates than 0.00075 were better in the study
NOISY: dict[float, list[float | None]] = {
    0.000375: [31.5, 35.4],
    0.00075: [23.8, 26.2],
    0.0015: [26.9, 28.5],
    0.003: [27.7, 33.1],
    0.006: [26.2, 30.0],
}


def test_luck_does_not_choose() -> None:
    found = trials(NOISY)
    x, y = np.log2(list(NOISY)), np.array([np.mean(row) for row in NOISY.values()], dtype=float)
    design = np.column_stack([np.ones(5), x, x**2])
    fitted = design @ np.linalg.solve(design.T @ design, design.T @ y)
    assert [outcome.fitted for outcome in summarize(found)] == pytest.approx(fitted.tolist())
    assert y.argmin() == 1
    assert fitted.argmin() == 2
    assert choose(found) == {RATE: 0.0015}


def test_what_the_runs_tell_apart_is_not_smoothed_away() -> None:
    """A cliff behind the best rate, which a parabola rounds off; two seeds that agree within 0.2 points."""
    clear: dict[float, list[float | None]] = {0.001: [24, 24.2], 0.002: [23, 23.1], 0.004: [20, 20.2]}
    assert choose(trials(clear | {0.008: [45, 45.1]})) == {RATE: 0.004}


def test_a_rate_at_which_not_all_start_is_not_on_the_curve() -> None:
    (*others, last) = summarize(trials(NOISY | {0.012: [90.0, 20.0]}))
    assert last.fitted is None
    assert [one.fitted for one in others] == [one.fitted for one in summarize(trials(NOISY))]


def test_each_value_of_another_key_has_its_own_curve() -> None:
    def error(rate: float, decay: float) -> float:
        return 20 + 100 * decay + abs(math.log2(rate / (0.002 if decay else 0.008)))

    found = [
        Trial("arm", {RATE: rate, "optimizer.weight_decay": decay}, seed, error(rate, decay) + seed, True)
        for rate in (0.001, 0.002, 0.004, 0.008)
        for decay in (0.0, 0.01)
        for seed in (0, 1)
    ]
    assert choose(found) == {RATE: 0.008, "optimizer.weight_decay": 0.0}


def test_outcomes() -> None:
    (outcome,) = summarize(trials({0.01: [40.0, 90.0, None, 20.0]}))
    assert (outcome.runs, outcome.started, outcome.diverged, outcome.mean) == (4, 2, 1, 30.0)
    (outcome,) = summarize(trials({0.01: [None]}))
    assert (outcome.started, outcome.mean) == (0, None)


def test_the_grid_goes_on_at_its_edges_only() -> None:
    grid = Grid.of(PilotConfig(None, {}, 1, 1000, 0.2, 3), rate=0.01)
    assert grid.rates == [0.0025, 0.005, 0.01, 0.02]
    assert not grid.go_on(0.01)
    assert grid.go_on(0.02)
    assert grid.rates == [0.0025, 0.005, 0.01, 0.02, 0.04]
    assert not grid.go_on(0.02)
    assert grid.go_on(0.0025)
    assert grid.rates[:2] == [0.00125, 0.0025]


def test_the_nearest_outcome() -> None:
    outcomes = summarize(trials({0.002: [30.0], 0.004: [30.0], 0.008: [30.0]}))
    assert nearest(outcomes, {RATE: 0.0055}).values == {RATE: 0.004}
    assert nearest(outcomes, {RATE: 0.0058}).values == {RATE: 0.008}
    decays = [Trial("arm", {RATE: rate, "decay": decay}, 0, 30.0, True) for rate, decay in ((1, 0), (2, 1))]
    assert nearest(summarize(decays), {RATE: 1.1, "decay": 1}).values == {RATE: 2, "decay": 1}


def test_other_keys_are_crossed_with_the_rates() -> None:
    grid = Grid.of(PilotConfig([0.2, 0.1], {"optimizer.weight_decay": [0, 0.1]}, 1, 1000, 0.2, 3), rate=1)
    assert [tuple(point.values()) for point in grid.points()] == [(0.1, 0), (0.1, 0.1), (0.2, 0), (0.2, 0.1)]
    assert values_name(grid.points()[1]) == "lr=0.1,weight_decay=0.1"


@pytest.mark.parametrize(
    ("error", "classes", "images", "started"),
    [
        (87.0, 10, None, True),  # 90 at chance: 87.3
        (88.0, 10, None, False),
        (85.0, 10, 200, False),  # three standard errors of 200 images are 6.4 points
        (83.0, 10, 200, True),
        (87.0, 10, 50_000, True),
        (99.0, 1000, 50_000, False),
        (96.0, 1000, 50_000, True),
        (90.0, None, None, True),
    ],
)
def test_started(error: float, classes: int | None, images: int | None, started: bool) -> None:
    assert has_started(error, classes, images) == started


def test_the_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    record = StudyRecord(
        "s",
        "S",
        Design.fraction,
        "baseline",
        ["a", "b"],
        {"baseline": [], "a+b": ["a", "b"]},
        {"baseline": [0, 1], "a+b": [0, 1]},
        3,
        ["a = b"],
        {"a+b": {RATE: 0.1}},
        trials({0.1: [30.0, None]}),
        ["study=s"],
    )
    assert read_record(tmp_path) is None
    record.write(tmp_path)
    assert read_record(tmp_path) == record
    (tmp_path / "study.json").write_text("{}")
    with pytest.raises(UserError, match=r"study\.json cannot be read"):
        read_record(tmp_path)
