"""Titles of comparisons, in words."""

from pathlib import Path
from typing import Any

import pytest

from alexnet.compare.comparison import compare
from alexnet.config import ComparabilityKey, CompareConfig
from alexnet.config.study import Design
from alexnet.studies.record import StudyRecord
from fabricated_runs import write_hand_made, write_run, write_study

Arms = dict[str, tuple[dict[str, Any], list[float]]]


def title_of(folder: Path, **given: Any) -> str:
    keys: dict[str, Any] = {"study": str(folder), "runs": None, "baseline": None} | given
    return compare(CompareConfig(out=None, training_error=25.0, confidence=0.95, allow=[], **keys)).title


def arms(common: dict[str, Any] | None = None, **changed: Any) -> Arms:
    """A baseline and an arm that changes `changed`, whose keys have __ for a dot."""
    factor = {key.replace("__", "."): value for key, value in changed.items()}
    return {
        "baseline": (common or {}, [20.0, 21.0]),
        "arm": ((common or {}) | (factor or {"model.lrn": False}), [21.0, 22.5]),
    }


@pytest.mark.parametrize(
    ("folder", "common", "expected"),
    [
        ("studies/innovations/data=imagenette", {}, "Innovations on Imagenette, 10 epochs"),
        (
            "studies/init_and_start/default",
            {"model.width": 0.125, "data.name": "cifar10"},
            "Init and start on CIFAR-10, 10 epochs, width 0.125",
        ),
        ("studies/history", {"data.name": "synthetic"}, "History on synthetic images, 10 epochs"),
        ("my study", {"model.width": 1, "data.name": "imagenet"}, "my study on ImageNet, 10 epochs"),
        ("a", {"model.name": "resnet18"}, "a on Imagenette, resnet18, 10 epochs"),
        ("a", {"data.name": "folder", "data.root": "/x/flowers"}, "a on flowers, 10 epochs"),
        ("a", {"data.name": "leaves", "data.root": "/x/y"}, "a on leaves, 10 epochs"),
        ("sweeps/model.lrn,seed_12345678", {}, "Sweep over LRN on Imagenette, 10 epochs"),
    ],
)
def test_a_folder(tmp_path: Path, folder: str, common: dict[str, Any], expected: str) -> None:
    assert title_of(write_study(tmp_path / folder, arms(common))) == expected


def test_a_record_names_its_study(tmp_path: Path) -> None:
    study = write_study(tmp_path / "studies/innovations/default", arms())
    seeds = {"baseline": [0, 1], "arm": [0, 1]}
    record = StudyRecord(
        "innovations",
        "Six innovations",
        Design.one_at_a_time,
        "baseline",
        ["arm"],
        {"baseline": [], "arm": ["arm"]},
        seeds,
    )
    record.write(study)
    assert title_of(study) == "Six innovations on Imagenette, 10 epochs"


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"model__dropout": 0.0, "model__lrn": False}, "dropout and LRN"),
        (
            {"model__lrn": False, "model__dropout": 0.0, "optimizer__lr": 0.1},
            "dropout, LRN and learning rate",
        ),
        ({"optimizer__name": "adamw", "optimizer__betas": [0.9, 0.99], "optimizer__lr": 0.1}, "optimizer"),
        ({"optimizer__weight_decay": 0.1}, "weight decay"),
        ({f"model__k{number}": 1 for number in range(5)}, "5 settings"),
    ],
)
def test_what_a_sweep_varies(tmp_path: Path, changed: dict[str, Any], expected: str) -> None:
    study = write_study(tmp_path / "sweeps" / "any", arms(**changed))
    assert title_of(study) == f"Sweep over {expected} on Imagenette, 10 epochs"


def test_any_runs(tmp_path: Path) -> None:
    write_study(tmp_path / "runs", arms())
    given = {"study": None, "runs": f"{tmp_path}/runs/*/*", "baseline": "model.lrn=true"}
    assert title_of(tmp_path, **given) == "Sweep over LRN on Imagenette, 10 epochs"


def test_what_runs_do_not_share_is_not_said(tmp_path: Path) -> None:
    study = write_study(tmp_path / "sizes", arms(model__width=0.5))
    assert title_of(study) == "sizes on Imagenette, 10 epochs"
    study = write_study(tmp_path / "short", {"baseline": ({}, [20.0])})
    write_hand_made(study / "hog" / "seed=0", 50.0)
    assert title_of(study) == "short on Imagenette, 10 epochs, one seed"
    write_run(study / "long" / "seed=0", 50.0, settings={"model.lrn": False}, epochs=1)
    keys = CompareConfig(str(study), None, None, None, 25.0, 0.95, list(ComparabilityKey))
    assert compare(keys).title == "short on Imagenette, 1 and 10 epochs, one seed"
