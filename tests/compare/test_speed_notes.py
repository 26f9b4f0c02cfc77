"""Speeds with their spread, and what makes them hard to believe."""

from pathlib import Path
from statistics import mean, stdev
from typing import Any

import pytest

from alexnet.compare.comparison import Comparison, compare
from alexnet.compare.speed_notes import speed_notes
from alexnet.compare.tables import costs_table, speed_text
from alexnet.config import CompareConfig
from fabricated_runs import write_run

TANH = {"model.activation": "tanh"}


def load(other: float, jobs: int = 1) -> dict[str, float]:
    return {"cores": 2.0, "own_cores": 1.9 - other, "other_cores": other, "jobs": jobs}


def compared(folder: Path, *tanh: dict[str, Any], **baseline: Any) -> Comparison:
    """A study of two arms: each run's further fields of result.json, for the baseline those of all runs."""
    for seed, result in enumerate(tanh):
        write_run(folder / f"baseline/seed={seed}", 20 + seed, seed=seed, **baseline)
        write_run(folder / f"tanh/seed={seed}", 22 + seed, seed=seed, settings=TANH, **result)
    return compare(CompareConfig(str(folder), None, None, None, 25.0, 0.95, []))


def test_mean_and_deviation_over_the_seeds(tmp_path: Path) -> None:
    speeds = [300.0, 318.0, 295.5]
    comparison = compared(tmp_path, *({"speed": speed} for speed in speeds), speed=65.64)
    table = costs_table(comparison)
    column = table.headings.index("images/s")
    assert [row[column] for row in table.rows] == ["65.6 ± 0.0", f"{mean(speeds):.0f} ± {stdev(speeds):.0f}"]
    assert speed_text(comparison.arms[0]) == "304"
    assert speed_notes(comparison) == []


@pytest.mark.parametrize(("speed", "text"), [(4.567, "4.57"), (12_345.6, "12,346"), (999.6, "1,000")])
def test_three_digits(tmp_path: Path, speed: float, text: str) -> None:
    assert speed_text(compared(tmp_path, {"speed": speed}).arms[0]) == text


def test_a_run_without_a_speed(tmp_path: Path) -> None:
    comparison = compared(tmp_path, {"speed": 300.0}, {"images_per_second": None})
    assert speed_text(comparison.arms[0]) == "-"


def test_a_busy_machine(tmp_path: Path) -> None:
    comparison = compared(tmp_path, {"load": load(0.8)}, {"load": load(0.1)}, load=load(0.0))
    (note,) = speed_notes(comparison)
    assert note == (
        "Speeds and minutes of 1 run are unreliable: other processes used up to 40% of the machine (tanh"
        " seed=0)."
    )


@pytest.mark.parametrize(
    ("low", "high", "shown"),
    [(300.0, 400.0, "300 to 400"), (1247.6, 1871.2, "1,248 to 1,871"), (3.21, 5.0, "3.21 to 5.00")],
)
def test_speeds_that_differ_widely(tmp_path: Path, low: float, high: float, shown: str) -> None:
    comparison = compared(tmp_path, {"speed": low}, {"speed": high})
    assert speed_notes(comparison) == [f"Speeds vary widely between seeds, in images/s: tanh {shown}."]


def test_jobs_side_by_side(tmp_path: Path) -> None:
    same = compared(tmp_path / "same", {"load": load(0.0, 2)}, {"load": load(0.0, 2)}, load=load(0.1, 2))
    assert speed_notes(same) == ["Speeds were measured with 2 runs at a time on a machine."]
    mixed = compared(tmp_path / "mixed", {"load": load(0.0, 4)}, {"load": load(0.0, 2)}, load=load(0.1))
    assert speed_notes(mixed) == [
        "The number of runs at a time on a machine varied (1, 2 and 4): speeds are not comparable."
    ]


def test_speeds_with_and_without_compiling(tmp_path: Path) -> None:
    comparison = compared(tmp_path, {"startup_seconds": 9.5}, {"startup_seconds": 8.0})
    (note,) = speed_notes(comparison)
    assert note.startswith("The speeds of 2 runs, made with an earlier version, include compilation")
