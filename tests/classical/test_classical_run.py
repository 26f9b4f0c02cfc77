"""Runs of classical.py: their files, interruptions, errors, and the command line."""

import csv
import json
import os
import re
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode

from alexnet.classical import run as program
from alexnet.classical.classifier import LinearClassifier
from alexnet.classical.extraction import FeatureExtractor, FeatureMatrix
from alexnet.compare.study_folder import read_folder
from alexnet.config import ClassicalConfig
from alexnet.config.arguments import quote_arguments
from alexnet.config.hashing import config_hash
from alexnet.config.messages import format_error
from alexnet.config.reading import read_config, to_plain_dict
from alexnet.errors import UserError
from alexnet.sweeps.composition import JobComposer
from alexnet.sweeps.planning import plan_job
from alexnet.training import fit
from conftest import PROJECT, Train, request_of, save_image
from fabricated_runs import write_study

SMALL_FEATURES = ("classical.image_size=64", "data.workers=0")


def start(folder: Path, *overrides: str) -> float:
    """Run what classical.py runs for a command line, in `folder`."""
    typed = [*SMALL_FEATURES, *overrides, f"run_folder={folder}", f"outputs={folder.parent}"]
    with initialize_config_dir(str(PROJECT / "conf"), version_base="1.3"):
        raw = compose("classical", typed)
    return program.run(read_config(raw, ClassicalConfig), to_plain_dict(raw), typed)


def result_of(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "result.json").read_text())


@pytest.fixture(scope="module")
def keys_of_train(synthetic: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Keys of the result.json that train.py writes."""
    folder = tmp_path_factory.mktemp("train")
    small = ("model.width=0.05", "model.fc_units=[64,64]", "trainer.max_epochs=1", "trainer.accelerator=cpu")
    few = ("trainer.limit_train_batches=1", "trainer.limit_val_batches=1", f"data.cache={folder}/cache")
    fit.train(request_of(folder / "run", *synthetic, *small, *few, "logger=csv"))
    return set(result_of(folder / "run"))


@pytest.fixture
def cached(tmp_path: Path, synthetic: tuple[str, ...]) -> tuple[str, ...]:
    return (*synthetic, f"data.cache={tmp_path / 'cache'}")


def test_it_learns_and_writes_what_train_writes(
    tmp_path: Path, cached: tuple[str, ...], keys_of_train: set[str]
) -> None:
    folder = tmp_path / "run"
    error = start(folder, *cached, "seed=3")
    result = result_of(folder)
    assert result.keys() == keys_of_train
    assert result["val"]["top1_error"] == error < 70  # percent; chance: 90
    assert result["train"]["top1_error"] < 20
    assert result["val"].keys() == {"loss", "top1_error", "top5_error", "samples"}
    assert result["train"].keys() == {"loss", "top1_error", "samples"}
    assert (result["train"]["samples"], result["val"]["samples"]) == (61, 31)
    assert result["val"]["loss"] < np.log(10)
    assert (result["status"], result["error"], result["seed"], result["epochs"]) == (
        "completed",
        None,
        3,
        None,
    )
    assert result["parameters"] == 10 * (7 * 7 * 4 * 9 + 512 + 1)
    for key in ("images_per_second", "wall_seconds", "peak_memory_mb"):
        assert result[key] > 0, key
    with (folder / "metrics.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    metrics = ("train/loss", "train/top1_error", "train/samples")
    metrics += ("val/loss", "val/top1_error", "val/top5_error", "val/samples")  # as in train.py
    assert row.keys() == {"epoch", *metrics, "images_per_second", "peak_memory_mb", "seconds"}
    assert float(row["val/top1_error"]) == pytest.approx(error, rel=1e-4)
    config = yaml.safe_load((folder / "config.yaml").read_text())
    assert config["model"] == {"name": "hog_and_color"}
    assert config["classical"]["features"] == "hog_and_color"
    assert "seed=3" in yaml.safe_load((folder / "overrides.yaml").read_text())
    environment = json.loads((folder / "environment.json").read_text())
    assert environment["data_fingerprint"] == result["data_fingerprint"]
    assert environment["packages"]["scikit-learn"]
    assert "Validation error: top-1" in (folder / "train.log").read_text()
    assert {path.name for path in folder.iterdir()} <= {
        *("config.yaml", "overrides.yaml", "environment.json", "excluded_files.csv", "result.json"),
        *("metrics.csv", "train.log", "figures", "checkpoints", ".running"),
    }
    with pytest.raises(UserError, match="already exists"):
        start(folder, *cached, "seed=3")


def test_interrupted_and_started_again(
    tmp_path: Path, cached: tuple[str, ...], keys_of_train: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, fit_classifier = tmp_path / "run", LinearClassifier.fit

    def fit_with_signal(self: LinearClassifier, images: FeatureMatrix) -> str | None:
        os.kill(os.getpid(), signal.SIGTERM)
        return fit_classifier(self, images)

    monkeypatch.setattr(LinearClassifier, "fit", fit_with_signal)
    with pytest.raises(KeyboardInterrupt, match=r"stopped by SIGTERM\. The same command starts again\."):
        start(folder, *cached)
    result = result_of(folder)
    assert (result["status"], result["error"]) == ("interrupted", "stopped by SIGTERM")
    assert result.keys() == keys_of_train - {"train", "val"}
    assert not (folder / "metrics.csv").exists()
    monkeypatch.undo()
    start(folder, *cached)
    assert result_of(folder)["status"] == "completed"


@pytest.mark.parametrize(
    ("problem", "raised", "message"),
    [
        (OSError(28, "No space left on device", "features"), UserError, "features: No space left on device."),
        (MemoryError(), UserError, "Out of memory. Try fewer data.workers"),
        (ValueError("a bug"), ValueError, "ValueError: a bug"),
    ],
)
def test_errors_are_recorded(
    tmp_path: Path,
    cached: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
    problem: Exception,
    raised: type[Exception],
    message: str,
) -> None:
    def fail(*given: Any) -> None:
        raise problem

    monkeypatch.setattr(FeatureExtractor, "extract", fail)
    with pytest.raises(raised):
        start(tmp_path / "run", *cached)
    result = result_of(tmp_path / "run")
    assert result["status"] == "failed"
    assert result["error"].startswith(message)


@pytest.fixture
def photographs(tmp_path: Path) -> Iterator[Path]:
    rng = np.random.default_rng(0)
    for name in ("cat", "dog"):
        for index in range(6):
            save_image(tmp_path / "photos" / name / f"{index}.jpg", rng)
    (tmp_path / "photos/cat/text.jpg").write_text("not an image")
    yield tmp_path / "photos"


def test_unreadable_images_are_left_out(tmp_path: Path, photographs: Path) -> None:
    """One is broken from the start; one breaks later, and training continues without both."""
    where = ("data=folder", f"data.root={photographs}", f"data.cache={tmp_path / 'cache'}")
    where += ("data.val_fraction=0.34",)
    with pytest.raises(UserError, match=r"1 of 13 images .* cannot be read"):
        start(tmp_path / "refused", *where)
    assert not (tmp_path / "refused").exists()
    load = program.load_image_data

    def load_and_break_one(config: Any) -> Any:
        data = load(config)
        Path(photographs / data.train.path(0)).write_text("no image any more")
        return replace(data)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(program, "load_image_data", load_and_break_one)
        start(tmp_path / "run", *where, "data.max_unreadable=0.2")
    result = result_of(tmp_path / "run")
    assert result["excluded_files"] == 2
    assert result["train"]["samples"] + result["val"]["samples"] == 11
    assert "top5_error" not in result["val"]  # two classes
    with (tmp_path / "run/excluded_files.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 2


FEW = ("classical.image_size=32", "classical.features=color", "data.workers=0")


def test_from_the_command_line(train: Train, synthetic: tuple[str, ...], tmp_path: Path) -> None:
    done = train(*FEW, *synthetic, f"outputs={tmp_path / 'outputs'}", program="classical.py")
    assert done.status == 0, done.err
    assert done.result["status"] == "completed"
    for line in (
        "Features  color: 512 numbers",
        "61 training and 31 validation images",
        "chance: top-1 90.0%",
    ):
        assert line in done.out


def test_a_job_of_a_sweep_is_an_arm_of_a_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its folder is <arm>/seed=<n>; it is given no settings that it does not have: logger and resume."""
    monkeypatch.setattr("sys.argv", ["src/classical.py", "-m"])
    where = f"hydra.sweep.dir={tmp_path}"
    with initialize_config_dir(str(PROJECT / "conf"), version_base="1.3"):
        hydra = GlobalHydra.instance().hydra
        assert hydra is not None
        loader = hydra.config_loader
        config = loader.load_configuration("classical", ["seed=0,1", where], RunMode.MULTIRUN)
        jobs = [plan_job(JobComposer(loader, config), (f"seed={seed}",), seed).job for seed in (0, 1)]
    assert [job.folder for job in jobs] == [tmp_path / f"hog_and_color/seed={seed}" for seed in (0, 1)]
    assert jobs[1].command[2:] == ("seed=1", f"run_folder='{jobs[1].folder}'")
    assert len({job.config_hash for job in jobs}) == 2
    assert (jobs[0].devices, jobs[0].epochs) == (1, 1)


def study_in(folder: Path) -> Path:
    write_study(folder, {"baseline": ({}, [20.0, 21.0])})
    return folder


def test_a_run_in_a_study(tmp_path: Path, cached: tuple[str, ...], caplog: pytest.LogCaptureFixture) -> None:
    """One seed is an arm of it; what is done is not done again."""
    study = study_in(tmp_path / "a, study")
    typed = [*FEW, *cached, *quote_arguments([f"study={study}"], ClassicalConfig), "seed=3"]
    with initialize_config_dir(str(PROJECT / "conf"), version_base="1.3"):
        raw = compose("classical", typed)
    config, resolved = read_config(raw, ClassicalConfig), to_plain_dict(raw)
    program.run(config, resolved, typed)
    result = result_of(study / "color/seed=3")
    assert (result["status"], result["seed"]) == ("completed", 3)
    assert caplog.messages[-1] == f"Next      python src/compare.py study='{study}'"
    assert set(read_folder(study, None).arms) == {"baseline", "color"}
    with pytest.raises(
        UserError, match=r"color/seed=3: this run is in the study already\. Give another seed"
    ):
        program.run(config, resolved, typed)
    with pytest.raises(UserError, match=r"run_folder=/x: with study=\.\.\. the run has its folder there"):
        replace(config, run_folder="/x")


def test_jobs_of_a_study_are_named_by_their_seed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One alone, too; the same configuration is the same run with and without the study."""
    monkeypatch.setattr("sys.argv", ["src/classical.py", "-m"])
    study = study_in(tmp_path / "study")
    typed = quote_arguments([f"study={study}", "classical.features=hog,color", "-m"], ClassicalConfig)[:-1]
    with initialize_config_dir(str(PROJECT / "conf"), version_base="1.3"):
        hydra = GlobalHydra.instance().hydra
        assert hydra is not None
        loader = hydra.config_loader
        config = loader.load_configuration("classical", typed, RunMode.MULTIRUN)
        jobs = [
            plan_job(JobComposer(loader, config), (typed[0], f"classical.features={name}"), 0).job
            for name in ("hog", "color")
        ]
    assert [job.folder for job in jobs] == [study / "hog/seed=0", study / "color/seed=0"]
    with initialize_config_dir(str(PROJECT / "conf"), version_base="1.3"):
        alone = to_plain_dict(compose("classical", ["classical.features=hog"]))
    assert jobs[0].config_hash == config_hash(alone)


def test_a_folder_that_is_no_study(train: Train, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    for folder, expected in (
        ("nothing", "there is no such folder"),
        ("other", "not the folder of a study"),
    ):
        for sweep in ((), ("-m", "seed=0,1")):
            refused = train(*sweep, f"study={tmp_path / folder}", program="classical.py")
            assert (refused.status, refused.out) == (1, "")
            (line,) = refused.err.splitlines()
            assert line.startswith(f"Error: study={tmp_path / folder}: {expected}")
    assert not (tmp_path / "nothing").exists()
    assert list((tmp_path / "other").iterdir()) == []


@pytest.mark.slow
def test_a_sweep(train: Train, synthetic: tuple[str, ...], tmp_path: Path) -> None:
    """Jobs run in processes; when the sweep is repeated only missing ones run."""
    study = study_in(tmp_path / "a, study")
    command = ("-m", "seed=0,1", *FEW, *synthetic, f"study={study}")
    command += (f"outputs={tmp_path / 'outputs'}",)
    done = train(*command, program="classical.py")
    assert done.status == 0, done.err
    assert done.out.splitlines()[-1] == f"Next     python src/compare.py study='{study}'"
    for seed in (0, 1):
        result = result_of(study / f"color/seed={seed}")
        assert (result["status"], result["seed"]) == ("completed", seed)
    times = {path: path.stat().st_mtime_ns for path in study.glob("*/*/result.json")}
    again = train(*command, program="classical.py")
    assert "2 jobs, 2 already done" in again.out
    assert {path: path.stat().st_mtime_ns for path in study.glob("*/*/result.json")} == times


@pytest.mark.parametrize("package", ["sklearn", "skimage"])
def test_without_the_packages_one_line_says_what_to_install(
    train: Train, synthetic: tuple[str, ...], tmp_path: Path, package: str
) -> None:
    (tmp_path / "blocked").mkdir()
    (tmp_path / f"blocked/{package}.py").write_text("raise ImportError('blocked')")
    outputs = tmp_path / "outputs"
    done = train(
        *(*synthetic, f"outputs={outputs}"),
        program="classical.py",
        environment={"PYTHONPATH": str(tmp_path / "blocked")},
    )
    assert done.status == 1
    (line,) = done.err.splitlines()
    assert re.match("Error: classical.py needs scikit-image and scikit-learn: .* extra `classical`", line)
    assert not outputs.exists()


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("classical.features=hogg", "Did you mean hog? Choices: color, hog, hog_and_color."),
        (
            "classical.image_size=300",
            "classical.image_size=300: expected at most data.resize_size=256 pixels.",
        ),
        ("classical.alhpa=1", "Did you mean alpha?"),
    ],
)
def test_mistakes_are_reported_in_one_line(typed: str, message: str) -> None:
    with initialize_config_dir(str(PROJECT / "conf"), version_base="1.3"), pytest.raises(Exception) as raised:
        read_config(compose("classical", [typed]), ClassicalConfig)
    line = format_error(raised.value, ClassicalConfig)
    assert message in line
    assert "\n" not in line


def test_help_does_not_wait_for_torch(train: Train) -> None:
    shown = train(
        "--help", program="classical.py", environment={"PYTHONPROFILEIMPORTTIME": "1"}, own_process=True
    )
    assert shown.status == 0
    assert "hog_and_color" in shown.out
    modules = {line.rpartition("|")[2].strip() for line in shown.err.splitlines()}
    assert "hydra" in modules
    assert not modules & {"torch", "sklearn", "skimage", "lightning"}
