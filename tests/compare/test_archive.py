"""Results in few files: what they give when read again is what was read from the runs."""

import csv
import json
from dataclasses import asdict
from math import isfinite
from pathlib import Path
from typing import Any

import pytest

from alexnet.compare.archive import Options, read_archive, write_archive
from alexnet.compare.arms import Arms
from alexnet.compare.comparison import compare
from alexnet.compare.report import write_report
from alexnet.compare.study_folder import read_folder
from alexnet.config import ComparabilityKey, CompareConfig
from alexnet.config.study import Design
from alexnet.errors import UserError
from alexnet.studies.record import StudyRecord, Trial
from fabricated_runs import full_factorial, write_factorial, write_hand_made, write_run, write_study

OPTIONS = Options(25.0, 0.95, [ComparabilityKey.code])
LOAD = {"cores": 2.0, "own_cores": 1.9, "other_cores": 0.7, "jobs": 2}


def config(**keys: Any) -> CompareConfig:
    given: dict[str, Any] = {"study": None, "runs": None, "baseline": None, "out": None}
    return CompareConfig(**given | keys, training_error=25.0, confidence=0.95, allow=[])


def one_at_a_time(folder: Path) -> Path:
    """A study with a pilot, hand-made features, and runs that diverged or are missing."""
    claim = {"text": "1.4%", "section": "3.3", "top1": 1.4, "log_top1": 1.37, "log_file": "a.cfg"}
    git = {"diff": "diff --git a/src/x.py b/src/x.py\n+1\n"}
    settings = {"model.lrn": False, "optimizer.lr": 0.02}
    logged = {"mine/norm": 1 / 7}
    common: dict[str, Any] = {"settings": settings, "git": git, "logged": logged}
    for seed, error in enumerate((20.123456789, 21.0, 1 / 3)):
        write_run(folder / f"baseline/seed={seed}", error, seed=seed, top5=2.5, git=git, load=LOAD)
        write_run(folder / f"no_lrn/seed={seed}", error + 2, seed=seed, claim=claim, **common)
    write_run(
        folder / "no_lrn/seed=3", 90.0, seed=3, settings=settings, status="failed", error="x", diverged=True
    )
    write_hand_made(folder / "hog_and_color/seed=0", 40.0, git=git)
    StudyRecord(
        *("s", "A study", Design.one_at_a_time, "baseline", ["no_lrn"]),
        arms={"baseline": [], "no_lrn": ["no_lrn"]},
        seeds={"baseline": [0, 1, 2, 3], "no_lrn": [0, 1, 2, 3]},
        chosen={"baseline": {"optimizer.lr": 0.01}, "no_lrn": {"optimizer.lr": 0.02}},
        trials=[Trial("no_lrn", {"optimizer.lr": 0.02}, 1000, 31.25, True)],
        overrides=["study=s"],
    ).write(folder)
    return folder


def factorial(folder: Path) -> Path:
    cells = full_factorial(["no_lrn", "tanh"])
    errors = dict(
        zip(
            ("baseline", "no_lrn", "tanh", "no_lrn+tanh"),
            ([20.0, 21], [22.5, 22], [30, 31], [35, 34]),
            strict=True,
        )
    )
    return write_factorial(folder, cells, errors, ["no_lrn", "tanh"], overrides=["study=x"])


def plain(read: Arms) -> str:
    """All but what is not kept: where the runs lay, and W&B."""
    content = asdict(read) | {"diverged": dict(read.diverged)}
    for seeds in content["arms"].values():
        for seed, run in seeds.items():
            run |= {"path": None, "tracked": None, "data_root": None, "seed": seed}
            for column in [name for name, values in run["metrics"].items() if not any(map(isfinite, values))]:
                del run["metrics"][column]
    return json.dumps(content, indent=1, default=str)


@pytest.mark.parametrize("make", [one_at_a_time, factorial])
def test_what_is_read_again_is_what_was_written(tmp_path: Path, make: Any) -> None:
    read = read_folder(make(tmp_path / "study"), None)
    write_archive(read, OPTIONS, tmp_path)
    assert plain(read_archive(tmp_path)) == plain(read)
    with (tmp_path / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == sum(map(len, read.arms.values()))
    for name in ("results.csv", "results.json", "curves.csv"):
        assert "/data" not in (tmp_path / name).read_text()  # no folder of the machine
        assert str(tmp_path) not in (tmp_path / name).read_text()


@pytest.mark.parametrize("make", [one_at_a_time, factorial])
def test_the_report_is_the_same(tmp_path: Path, make: Any) -> None:
    first, again = tmp_path / "results", tmp_path / "again"
    write_report(compare(config(study=str(make(tmp_path / "study")))), config(out=str(first)))
    write_report(compare(config(study=str(first))), config(out=str(again)))
    files = sorted(path.name for path in first.iterdir())
    assert files == sorted(path.name for path in again.iterdir())
    for name in files:
        assert (first / name).read_bytes() == (again / name).read_bytes(), name


def test_another_baseline(tmp_path: Path) -> None:
    folder = write_study(
        tmp_path / "s", {"baseline": ({}, [20.0, 21]), "b": ({"model.lrn": False}, [21.0, 23])}
    )
    results = tmp_path / "results"
    results.mkdir()
    write_archive(read_folder(folder, None), OPTIONS, results)
    assert compare(config(study=str(results), baseline="b")).baseline.name == "b"
    with pytest.raises(UserError, match="baseline=c: there is no such arm"):
        compare(config(study=str(results), baseline="c"))


@pytest.mark.parametrize("damage", ["", "{}", '{"version": 0}'])
def test_a_damaged_archive_is_told(tmp_path: Path, damage: str) -> None:
    (tmp_path / "results.json").write_text(damage)
    with pytest.raises(UserError, match=r"results.json, or results.csv beside it, cannot be read"):
        read_archive(tmp_path)


def test_a_row_of_an_unknown_arm_is_told(tmp_path: Path) -> None:
    write_archive(read_folder(one_at_a_time(tmp_path / "study"), None), OPTIONS, tmp_path)
    content = json.loads((tmp_path / "results.json").read_text())
    del content["arms"]["no_lrn"]
    (tmp_path / "results.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match="cannot be read: 'no_lrn'"):
        read_archive(tmp_path)
