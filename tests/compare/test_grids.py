"""Arms tried at several learning rates: which one stands for the arm, and what is reported of it."""

import csv
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from alexnet.compare.arms import read_study
from alexnet.compare.comparison import Comparison, compare
from alexnet.compare.grids import FOLDER
from alexnet.compare.notes import notes
from alexnet.compare.report import write_report
from alexnet.config import CompareConfig
from alexnet.errors import UserError
from conftest import PROJECT
from fabricated_runs import write_run, write_study

# mean errors, by hand: baseline 30, 21, 22; tanh 25.5, 27, 50
ERRORS = {
    "baseline,lr=0.001": [29.0, 30.0, 31.0],
    "baseline,lr=0.003": [19.0, 21.0, 23.0],
    "baseline,lr=0.01": [20.0, 22.0, 24.0],
    "tanh,lr=0.001": [24.5, 25.0, 27.0],
    "tanh,lr=0.003": [26.0, 27.0, 28.0],
    "tanh,lr=0.01": [50.0, 50.0, 50.0],
}


def settings(folder: str) -> dict[str, Any]:
    arm, _, rate = folder.partition(",lr=")
    return {"optimizer.lr": float(rate)} | ({"model.activation": arm} if arm != "baseline" else {})


def write_rates(folder: Path, errors: dict[str, list[float]], **common: Any) -> Path:
    return write_study(folder, {name: (settings(name), values) for name, values in errors.items()}, **common)


def config(study: Path) -> CompareConfig:
    return CompareConfig(str(study), None, None, None, 25.0, 0.95, [])


def compared(study: Path) -> Comparison:
    return compare(config(study))


def excluded(comparison: Comparison) -> dict[str, str]:
    return {run.name: run.reason for run in comparison.excluded}


def test_each_arm_at_the_rate_that_suits_it(tmp_path: Path) -> None:
    comparison = compared(write_rates(tmp_path / "study", ERRORS))
    assert comparison.baseline.name == "baseline"
    assert [run.top1_error for run in comparison.baseline.runs] == [19.0, 21.0, 23.0]
    (tanh,) = comparison.arms
    assert (tanh.name, tanh.factor_text) == ("tanh", "model.activation=tanh optimizer.lr=0.001")
    assert tanh.top1_difference.paired is not None
    assert tanh.top1_difference.paired.differences == (5.5, 4.0, 4.0)
    assert excluded(comparison) == {
        "baseline,lr=0.001": "lr=0.003 is chosen: top-1 error 21.00% against 30.00%",
        "baseline,lr=0.01": "lr=0.003 is chosen: top-1 error 21.00% against 22.00%",
        "tanh,lr=0.003": "lr=0.001 is chosen: top-1 error 25.50% against 27.00%",
        "tanh,lr=0.01": "lr=0.001 is chosen: top-1 error 25.50% against 50.00%",
    }


def test_the_choice_is_reported(tmp_path: Path) -> None:
    lines = notes(compared(write_rates(tmp_path / "study", ERRORS)))
    (choice,) = [note for note in lines if note.startswith("Chosen for each arm")]
    assert "baseline lr=0.003 (of 0.001, 0.003, 0.01); tanh lr=0.001 (of 0.001, 0.003, 0.01)." in choice
    assert "the same validation errors that are reported" in choice
    assert [note for note in lines if "at the edge" in note] == [
        "tanh: lr=0.001 is at the edge of the values compared; a better one may lie beyond."
    ]


def test_a_rate_with_fewer_seeds_does_not_win(tmp_path: Path) -> None:
    study = write_rates(tmp_path / "study", ERRORS)
    for seed in (1, 2):
        shutil.rmtree(study / "tanh,lr=0.001" / f"seed={seed}")
    write_run(study / "tanh,lr=0.001" / "seed=1", 0.0, seed=1, status="failed", error="Bang")
    comparison = compared(study)
    (tanh,) = comparison.arms
    assert [run.top1_error for run in tanh.runs] == [26.0, 27.0, 28.0]
    assert tanh.factor_text == "model.activation=tanh"
    reasons = excluded(comparison)
    assert reasons["tanh,lr=0.001"] == "fewer seeds are complete than of lr=0.003: 1, not 3"
    assert reasons["tanh,lr=0.001 seed=1"] == "failed: Bang"
    assert reasons["tanh,lr=0.001 seed=2"] == "there is no such run"
    assert any("tanh lr=0.003 (of 0.003, 0.01)" in note for note in notes(comparison))
    assert any("tanh: lr=0.003 is at the edge" in note for note in notes(comparison))


def fail(study: Path, folder: str) -> None:
    for seed in range(3):
        shutil.rmtree(study / folder / f"seed={seed}")
        write_run(study / folder / f"seed={seed}", 0.0, seed=seed, status="failed", error="Bang")


def test_a_rate_without_completed_runs(tmp_path: Path) -> None:
    study = write_rates(tmp_path / "study", ERRORS)
    fail(study, "tanh,lr=0.001")
    comparison = compared(study)
    assert comparison.arms[0].runs[0].settings["optimizer.lr"] == 0.003
    assert excluded(comparison)["tanh,lr=0.001"] == "none of its runs counts"


def test_an_arm_without_completed_runs(tmp_path: Path) -> None:
    study = write_rates(tmp_path / "study", ERRORS | {"sigmoid,lr=0.01": [40.0, 41.0, 42.0]})
    fail(study, "sigmoid,lr=0.01")
    comparison = compared(study)
    assert [arm.name for arm in comparison.arms] == ["tanh"]
    assert excluded(comparison)["sigmoid"] == "none of its runs counts"
    assert "sigmoid,lr=0.01" not in excluded(comparison)
    assert not any("sigmoid" in note for note in notes(comparison))
    for rate in ("0.001", "0.003", "0.01"):
        fail(study, f"baseline,lr={rate}")
    with pytest.raises(
        UserError, match=r"no run of baseline counts\. baseline,lr=0\.001 seed=0: failed: Bang"
    ):
        compared(study)


def test_one_rate_is_no_choice(tmp_path: Path) -> None:
    one = {name: errors for name, errors in ERRORS.items() if name.endswith("lr=0.01")}
    comparison = compared(write_rates(tmp_path / "study", one))
    assert [arm.name for arm in comparison.all_variants] == ["baseline", "tanh"]
    assert comparison.excluded == []
    assert not any("lr=" in note for note in notes(comparison))


def test_rates_are_compared_only_where_they_can_be(tmp_path: Path) -> None:
    study = write_rates(tmp_path / "study", ERRORS)
    shutil.rmtree(study / "tanh,lr=0.01")
    write_rates(study, {"tanh,lr=0.01": [50.0, 50.0, 50.0]}, epochs=5)
    with pytest.raises(UserError, match=r"tanh,lr=0.01 seed=0 and baseline seed=0 differ in the epochs"):
        compared(study)


@pytest.mark.parametrize(
    ("folders", "arms"),
    [
        (["a,momentum=0.9", "a,momentum=0.8"], ["a"]),  # any key
        (["a,lr=0.1", "a,momentum=0.9"], ["a,lr=0.1", "a,momentum=0.9"]),  # several
        (["a", "a,lr=0.1"], ["a", "a,lr=0.1"]),  # an arm of its own
        (["model.lrn=false,model.dropout=0"], ["model.lrn=false,model.dropout=0"]),
    ],
)
def test_what_makes_a_grid(tmp_path: Path, folders: list[str], arms: list[str]) -> None:
    study = write_study(tmp_path / "study", {name: ({}, [20.0]) for name in ["baseline", *folders]})
    assert sorted(read_study(study, None).arms) == sorted(["baseline", *arms])


@pytest.mark.parametrize(
    ("errors", "chosen", "edge"),
    [
        ({"1e-3": 3, "0.01": 1, "0.1": 2}, "0.01", False),
        ({"0.1": 2, "1e-3": 1, "0.01": 3}, "1e-3", True),
        ({"0.01": 2, "0.1": 1, "1e-3": 3}, "0.1", True),
        ({"cosine": 1, "step": 2, "plateau": 3}, "cosine", False),  # words have no order
    ],
)
def test_the_edge_is_that_of_the_numbers(
    tmp_path: Path, errors: dict[str, float], chosen: str, edge: bool
) -> None:
    study = write_study(
        tmp_path / "study",
        {"baseline": ({}, [20.0])} | {f"a,key={value}": ({}, [error]) for value, error in errors.items()},
    )
    (grid,) = read_study(study, None).grids
    assert (grid.chosen, grid.at_edge) == (chosen, edge)


def test_epochs_to_25_percent_are_those_of_the_chosen_rate(tmp_path: Path) -> None:
    # training errs top1 + 5 + (85 - top1) (0.6**epoch - 0.6**10): from a final 10 percent
    # 41.5, 30.7, 24.3 after 2, 3 and 4 epochs, from 19 percent 25.4 and 24.7 after 7 and 8
    errors = {"baseline,lr=0.01": [10.0], "baseline,lr=0.003": [40.0]}
    errors |= {"tanh,lr=0.01": [80.0], "tanh,lr=0.003": [19.0]}
    study = write_rates(tmp_path / "study", errors)
    comparison = compared(study)
    assert [arm.epochs_to_error for arm in comparison.all_variants] == [[4], [8]]
    write_report(comparison, config(study))
    assert "| tanh | 8.0 (2x) |" in (study / "report.md").read_text()
    page = (study / "report.html").read_text()
    for text in ("epochs to 25%", ">8.0 (2x)<", "lr=0.003 is chosen: top-1 error 19.00% against 80.00%"):
        assert text in page
    with (study / "results.csv").open(newline="") as file:
        assert [row["epochs_to_training_error"] for row in csv.DictReader(file)] == ["4.0", "8.0"]


def test_the_study_names_its_folders_so() -> None:
    text = (PROJECT / "conf/study/activations.yaml").read_text()
    (subdir,) = re.findall(r"subdir: (.*)/seed=", text)
    assert FOLDER.fullmatch(re.sub(r"\$\{[^}]*\}", "x", subdir))
