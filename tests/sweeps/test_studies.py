"""Studies: experiments that belong together, each seed in its own folder, again only what is missing."""

import csv
import json
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from processes import processes_that_name

from alexnet.config.study import Design
from alexnet.studies.design import plan_study
from alexnet.studies.pilot import DEFAULT_FACTORS
from alexnet.studies.record import read_record
from alexnet.sweeps.naming import settings_name
from conftest import PROJECT, SMALL, Train, compose_config, wait_for
from survival import MEASURED
from wandb_file import read_wandb_file

STUDIES = sorted(path.stem for path in (PROJECT / "conf/study").glob("[!_]*.yaml"))
ONE_EACH = ("study.seeds=1", "study.baseline_seeds=1")


@pytest.mark.parametrize("name", STUDIES)
def test_its_arms_exist(name: str) -> None:
    study = compose_config(f"study={name}", "data.root=x").study
    assert study is not None
    assert study.name == name
    assert study.title
    for arm in (study.baseline, *study.factors):
        if "=" in arm:
            compose_config(arm)
        else:
            assert (PROJECT / f"conf/{study.group}/{arm}.yaml").is_file()  # test_config.py composes each
    combined = name in ("innovations_factorial", "imagenet_innovations")
    five = ("cifar_lrn", "legacy", "legacy_cumulative")
    ten = ("figure1", "switches")
    seeds = {**dict.fromkeys(five, 5), **dict.fromkeys(ten, 10)}
    assert study.seeds == seeds.get(name, 2 if combined else 3)
    design = Design.cumulative if name == "legacy_cumulative" else Design.one_at_a_time
    assert study.design is (Design.factorial if combined else design)
    assert (study.pilot is None) == (name in ("cifar_lrn", "performance", "switches"))


def test_the_cost_of_imagenet_innovations_is_that_of_its_header() -> None:
    config = compose_config("study=imagenet_innovations", "data.root=x")
    study = config.study
    assert study is not None
    assert study.pilot is not None
    (override,) = study.pilot.overrides
    plan = plan_study(study, config.seed)
    pilot_runs = len(plan.pilot_arms) * len(DEFAULT_FACTORS) * study.pilot.seeds
    pilot_epochs = int(override.removeprefix("trainer.max_epochs="))
    epochs = plan.runs * config.trainer.max_epochs + pilot_runs * pilot_epochs
    header = (PROJECT / "conf/study/imagenet_innovations.yaml").read_text()
    assert f"{plan.runs} runs of {config.trainer.max_epochs} epochs" in header
    assert f"{pilot_runs} of {pilot_epochs}, more where" in header
    assert f"{epochs:,} epochs" in header
    assert f"{epochs * 1_281_167:.1e}".replace("e+0", "e") in header


def test_the_folder_names_what_all_jobs_share() -> None:
    assert settings_name(["study=innovations"]) == "default"
    assert settings_name(["study=innovations", "seed=0,1,2,3", "logger=csv", "outputs=/x"]) == "default"
    given = ["study=innovations", "model.width=0.25", "data=imagenette", "experiment=baseline,tanh"]
    assert settings_name(given) == "data=imagenette,model.width=0.25"
    assert settings_name([*given, "data.workers=4", "data.cache=/c"]) == settings_name(given)


def test_where_the_data_lies_is_not_named() -> None:
    places = ["data.root=/a", "data.pack='/p,q'", "data.cache=/c", "data.max_unreadable=0.1", "outputs=/o"]
    assert settings_name(["data=folder", *places]) == "data=folder"
    assert settings_name(places) == "default"


def test_the_design_of_a_study_is_named_where_it_is_another() -> None:
    usual = ["study=innovations", "study.design=one_at_a_time", "study.factors=[a,b]", "study.seeds=4"]
    assert settings_name([*usual, "seed=0,1"]) == "default"
    assert settings_name(["study=innovations", "study.design=factorial"]) == "design=factorial"
    given = ["model.width=0.25", "study.design=fraction", "study.resolution=4"]
    assert settings_name(given) == "design=fraction,model.width=0.25"


def test_a_study_is_no_single_run(train: Train) -> None:
    refused = train("study=innovations")
    assert refused.status == 1
    assert "study=innovations: a study consists of many runs. Start it with -m:" in refused.err


def next_line(study: Path) -> str:
    return f"Next     python src/compare.py study={shlex.quote(str(study))}"


def test_a_study_from_the_command_line(train: Train, synthetic: tuple[str, ...]) -> None:
    command = ("-m", "study=innovations", "study.factors=[no_lrn]", "study.pilot=null", *ONE_EACH)
    command += (*SMALL, *synthetic)
    first = train(*command, "trainer.max_epochs=1")
    assert first.status == 0, first.err
    (study,) = (first.outputs / "studies/innovations").iterdir()
    assert first.out.splitlines()[-1] == next_line(study)
    runs = {
        path.parent.relative_to(study): json.loads(path.read_text()) for path in study.glob("*/*/result.json")
    }
    assert set(runs) == {Path("baseline/seed=0"), Path("no_lrn/seed=0")}
    assert {run["status"] for run in runs.values()} == {"completed"}
    claims = [yaml.safe_load((study / name / "config.yaml").read_text())["claim"] for name in sorted(runs)]
    assert claims[0] is None
    assert claims[1]["section"] == "3.3"
    _check_wandb_record(study / "no_lrn/seed=0", f"studies/innovations/{study.name}")
    times = {path: path.stat().st_mtime_ns for path in study.glob("*/*/result.json")}
    again = train(*command, "trainer.max_epochs=1")
    assert again.status == 0, again.err
    assert again.out.splitlines()[-1] == next_line(study)
    assert {path: path.stat().st_mtime_ns for path in study.glob("*/*/result.json")} == times


def test_a_study_in_one_process(train: Train, synthetic: tuple[str, ...]) -> None:
    """With Hydra's own launcher, a run that diverges being a result; for ours nothing is left to do."""
    command = ("-m", "study=innovations", "study.factors=[no_lrn,'optimizer.lr=1e30']", "study.pilot=null")
    command += (*ONE_EACH, *SMALL, *synthetic, "trainer.max_epochs=1", "logger=csv")
    done = train(*command, "hydra/launcher=basic")
    assert (done.status, done.err) == (0, "")
    assert "Study    3 runs, 3 to do" in done.out.splitlines()
    (study,) = (done.outputs / "studies/innovations").iterdir()
    assert done.out.splitlines()[-1] == next_line(study)
    record = read_record(study)
    assert record is not None
    assert record.seeds == {"baseline": [0], "no_lrn": [0], "optimizer.lr=1e30": [0]}
    assert set(finished(study)) == {"baseline/seed=0", "no_lrn/seed=0"}
    for name, path in finished(study).items():
        config = yaml.safe_load(path.with_name("config.yaml").read_text())
        assert config["model"]["lrn"] == (name == "baseline/seed=0")
    assert json.loads((study / "optimizer.lr=1e30/seed=0/result.json").read_text())["diverged"]
    again = train(*command)
    assert (again.status, again.err) == (0, "")
    assert again.out.splitlines()[1:] == ["Study    3 runs, 0 to do", next_line(study)]


def test_runs_of_one_process_that_cannot_start(train: Train, tmp_path: Path) -> None:
    """The reason is told, and how many it stopped; Hydra's own launcher leaves no logs to name."""
    command = ("-m", "study=innovations", "study.factors=[no_lrn]", "study.pilot=null", *ONE_EACH)
    done = train(*command, "hydra/launcher=basic", f"data.root={tmp_path / 'nowhere'}")
    assert done.status == 1
    first, second = done.err.splitlines()
    assert first.startswith(f"Error: data.root={tmp_path / 'nowhere'}: there is no such folder")
    assert second == "Error: 2 of 2 runs failed. The same command runs them again."


def _check_wandb_record(run: Path, group: str) -> None:
    (recorded,) = run.glob("wandb/offline-run-*/run-*.wandb")
    logged = read_wandb_file(recorded)
    config = yaml.safe_load((run / "config.yaml").read_text())
    result = json.loads((run / "result.json").read_text())
    assert (logged.about.run_group, logged.about.job_type) == (group, "no_lrn")
    assert logged.about.display_name == "no_lrn/seed=0"
    assert {"experiment=no_lrn", "model.lrn=false"} <= set(logged.about.tags)
    assert {key: logged.config[key] for key in config} == config
    for name in ("train/loss", "train/top1_error", "val/loss", "val/top1_error", "val/top5_error", "lr"):
        assert sum(name in row for row in logged.history) == 1, name  # once an epoch
    # logged by Lightning, in float32
    assert logged.summary["val/top1_error"] == pytest.approx(result["val"]["top1_error"], rel=1e-6)
    assert logged.summary["result"] == result
    for name in ("curves", "filters"):
        (picture,) = (row[f"{name}.filenames"] for row in logged.history if f"{name}.filenames" in row)
        assert (recorded.parent / "files" / picture[0]).is_file()
    assert logged.exit_code == 0


def less_speed(row: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key not in MEASURED}


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return [less_speed(row) for row in csv.DictReader(file)]


def finished(study: Path) -> dict[str, Path]:
    """The result.json of the runs that ended well, by <arm>/seed=<n>."""
    paths = {str(path.parent.relative_to(study)): path for path in study.glob("*/*/result.json")}
    return {
        name: path for name, path in paths.items() if json.loads(path.read_text())["status"] == "completed"
    }


def outcome(study: Path) -> dict[str, Any]:
    """Everything that the runs of a study found, to the last bit."""
    return {
        name: (less_speed(json.loads(path.read_text())), table(path.with_name("metrics.csv")))
        for name, path in finished(study).items()
    }


@pytest.mark.slow
def test_killed_in_the_middle_and_started_again(
    train: Train, synthetic: tuple[str, ...], tmp_path: Path
) -> None:
    """kill -9 of the launcher's process group; afterwards everything is as if it had not been."""
    command = ("-m", "study=innovations", "study.factors=[no_lrn,tanh,no_dropout]", "study.pilot=null")
    command += ("study.seeds=2", "study.baseline_seeds=2")
    command += (*SMALL, *synthetic, "logger=csv", "hydra.launcher.jobs=2")
    process = subprocess.Popen(
        [sys.executable, str(PROJECT / "src/train.py"), *command, f"outputs={tmp_path / 'outputs'}"],
        cwd=tmp_path,
        env=os.environ | {"ALEXNET_CACHE": str(tmp_path / "cache")},
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    studies = tmp_path / "outputs/studies/innovations"

    def in_the_middle() -> bool:
        assert process.poll() is None
        done = {path.parent for path in studies.glob("*/*/*/result.json")}
        began = {path.parent for path in studies.glob("*/*/*/metrics.csv")}
        return len(done) >= 3 and bool(began - done)

    wait_for(in_the_middle, seconds=600)
    (study,) = studies.iterdir()
    assert len(processes_that_name(study)) >= 2
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    wait_for(lambda: not processes_that_name(study), seconds=5)
    before = {name: (path.stat().st_ino, path.stat().st_mtime_ns) for name, path in finished(study).items()}
    begun = {str(path.parent.relative_to(study)) for path in study.glob("*/*/metrics.csv")}
    assert 3 <= len(before) < len(begun)

    again = train(*command, timeout=900)
    assert again.status == 0, again.err
    assert f"8 runs, {8 - len(before)} to do" in again.out
    after = {name: (path.stat().st_ino, path.stat().st_mtime_ns) for name, path in finished(study).items()}
    assert len(after) == 8
    assert {name: after[name] for name in before} == before
    for name in begun - set(before):
        assert "Resuming  " in (study / name / "train.log").read_text()

    undisturbed = train(*command, f"hydra.sweep.dir={tmp_path / 'undisturbed'}", timeout=900)
    assert undisturbed.status == 0, undisturbed.err
    assert outcome(study) == outcome(tmp_path / "undisturbed")

    for folder in (study, tmp_path / "undisturbed"):
        compared = train(f"study={folder}", program="compare.py")
        assert compared.status == 0, compared.err
        assert "Left out" not in compared.out
    assert table(study / "arms.csv") == table(tmp_path / "undisturbed/arms.csv")
    assert len(table(study / "arms.csv")) == 4


@pytest.mark.slow
def test_a_study_with_its_pilot_is_compared(train: Train, synthetic: tuple[str, ...]) -> None:
    command = ("-m", "study=innovations", "study.factors=[no_lrn]", "study.seeds=2", "study.pilot.seeds=1")
    command += (
        "study.pilot.rates=[0.001,0.002]",
        "study.pilot.extensions=1",
        *SMALL,
        *synthetic,
        "logger=csv",
    )
    done = train(*command, timeout=900)
    assert done.status == 0, done.err
    (study,) = (done.outputs / "studies/innovations").iterdir()
    record = read_record(study)
    assert record is not None
    rates = {trial.values["optimizer.lr"] for trial in record.trials}
    assert rates > {0.001, 0.002}  # of two rates one is at the edge
    for arm, values in record.chosen.items():
        for seed in record.seeds[arm]:
            config = yaml.safe_load((study / arm / f"seed={seed}/config.yaml").read_text())
            assert config["optimizer"]["lr"] == values["optimizer.lr"]
    compared = train(f"study={study}", program="compare.py")
    assert compared.status == 0, compared.err
