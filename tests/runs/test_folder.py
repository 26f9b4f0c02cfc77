"""Run folders: never shared, written whole."""

import csv
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from alexnet.config.hashing import config_hash
from alexnet.errors import UserError
from alexnet.runs.folder import RunFolder

CONFIG = {"seed": 0, "outputs": "x", "model": {"lrn": True}}


def test_runs_of_the_same_second_do_not_share(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        folders = list(pool.map(lambda _: RunFolder.create(str(tmp_path), CONFIG), range(16)))
    assert len({folder.path for folder in folders}) == 16


def test_hash_is_of_what_changes_the_result() -> None:
    assert config_hash(CONFIG) == config_hash(CONFIG | {"outputs": "elsewhere", "logger": {"kind": "csv"}})
    assert config_hash(CONFIG) != config_hash(CONFIG | {"seed": 1})


def test_wanted_folder(tmp_path: Path) -> None:
    wanted = str(tmp_path / "täglich run")
    assert RunFolder.create("unused", CONFIG, wanted).path == Path(wanted)
    with pytest.raises(UserError, match="already exists"):
        RunFolder.create("unused", CONFIG, wanted)


def test_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="Cannot create the run folder"):
        RunFolder.create(str(tmp_path / "file"), CONFIG)


def test_a_file_in_place_of_the_folder_of_runs(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("")
    with pytest.raises(UserError, match=r"Cannot create the run folder .*: File exists\.$"):
        RunFolder.create(str(tmp_path), CONFIG)


def test_json_is_whole_and_has_only_numbers(tmp_path: Path) -> None:
    folder = RunFolder.create(str(tmp_path), CONFIG)
    folder.write_json("result.json", {"a": 1})
    assert json.loads((folder.path / "result.json").read_text()) == {"a": 1}
    folder.write_json("result.json", {"a": [float("nan"), 2.5], "b": {"c": float("inf")}})
    assert json.loads((folder.path / "result.json").read_text()) == {"a": [None, 2.5], "b": {"c": None}}
    assert not list(folder.path.glob(".*.partial"))


def test_metrics(tmp_path: Path) -> None:
    folder = RunFolder.create(str(tmp_path), CONFIG)
    folder.write_metrics([{"epoch": 1, "val/loss": 0.123456789, "samples": 1_281_167.0}, {"epoch": 2}])
    with (folder.path / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert rows == [
        {"epoch": "1", "val/loss": "0.123457", "samples": "1281167"},
        {"epoch": "2", "val/loss": "", "samples": ""},
    ]


def test_excluded_files_with_commas(tmp_path: Path) -> None:
    folder = RunFolder.create(str(tmp_path), CONFIG)
    folder.write_excluded({"b, c.jpg": 'a "reason", long', "a.jpg": "empty"})
    with (folder.path / "excluded_files.csv").open() as file:
        assert list(csv.reader(file)) == [
            ["file", "reason"],
            ["a.jpg", "empty"],
            ["b, c.jpg", 'a "reason", long'],
        ]
