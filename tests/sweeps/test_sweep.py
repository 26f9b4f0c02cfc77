"""`python src/train.py -m ...` as a user runs it, with small networks."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from conftest import PROJECT, Train

FAST = ("debug=fast", "trainer.accelerator=cpu", "logger=csv")


def results(sweep: Path) -> dict[str, dict[str, Any]]:
    """The results of a sweep by the jobs' names."""
    return {path.parent.name: json.loads(path.read_text()) for path in sweep.glob("*/result.json")}


def the_sweep(outputs: Path) -> Path:
    (sweep,) = (outputs / "sweeps").iterdir()
    return sweep


@pytest.mark.slow
def test_a_sweep_and_the_same_command_again(train: Train, synthetic: tuple[str, ...]) -> None:
    """Own folders, the sweep's W&B group, failures alone; then only what is missing is run."""
    tracked = ("logger=wandb", "logger.mode=offline")
    fast = ("debug=fast", "trainer.accelerator=cpu", *tracked)
    command = ("-m", *fast, "model.dropout=0.5,1.5", "seed=0", *synthetic)
    done = train(*command)
    assert done.status == 1
    (line,) = done.err.splitlines()
    assert line.startswith(
        "Error: 1 of 2 jobs failed. model.dropout=1.5: model.dropout=1.5: expected a number"
    )
    sweep = the_sweep(done.outputs)
    assert sweep.name.startswith("model.dropout_")
    assert "Failed   model.dropout=1.5" in done.out
    (result,) = results(sweep).values()
    assert result["status"] == "completed"
    folder = sweep / "model.dropout=0.5"
    assert "model.dropout=0.5" in yaml.safe_load((folder / "overrides.yaml").read_text())
    (recorded,) = (folder / "wandb").glob("offline-run-*/run-*.wandb")
    assert sweep.name.encode() in recorded.read_bytes()
    assert recorded.name.startswith("run-model.dropout-0.5-")  # an id that W&B allows
    assert not (done.outputs / "runs").exists()

    written = (folder / "result.json").stat().st_mtime_ns
    again = train(*(item.replace("1.5", "0.25") for item in command))
    assert again.status == 0, again.err
    assert "2 jobs, 1 already done" in again.out
    assert again.out.splitlines()[-1] == f"Next     python src/compare.py study={sweep}"
    assert (folder / "result.json").stat().st_mtime_ns == written
    assert set(results(sweep)) == {"model.dropout=0.5", "model.dropout=0.25"}


# what a batch script finds: one task, which is not to be mistaken for a rank
ALLOCATION = {"SLURM_JOB_ID": "7", "SLURM_JOB_NAME": "study.sh", "SLURM_NTASKS": "1", "SLURM_PROCID": "0"}
ALLOCATION |= {"SLURM_NTASKS_PER_NODE": "1", "SLURM_NNODES": "1", "SLURM_LOCALID": "0", "SLURM_NODEID": "0"}


@pytest.mark.slow
@pytest.mark.parametrize("environment", [{}, ALLOCATION], ids=["anywhere", "in an allocation of Slurm"])
def test_two_devices_in_every_job(
    train: Train, synthetic: tuple[str, ...], environment: dict[str, str]
) -> None:
    """Two jobs of two processes at once: each second one starts from its job's own command line."""
    command = ("-m", *FAST, *synthetic, "seed=0,1", "trainer.devices=2", "hydra.launcher.jobs=2")
    done = train(*command, environment=environment)
    assert done.status == 0, done.err
    finished = results(the_sweep(done.outputs))
    assert set(finished) == {"seed=0", "seed=1"}
    assert all(result["status"] == "completed" for result in finished.values())
    for log in the_sweep(done.outputs).glob("*.log"):
        assert log.read_text().count("Folder") == 1


@pytest.mark.slow
def test_three_processes_in_the_same_second(synthetic: tuple[str, ...], tmp_path: Path) -> None:
    """The same command three times at once: three run folders."""
    where = (f"outputs={tmp_path / 'outputs'}",)
    processes = [
        subprocess.Popen(
            [sys.executable, str(PROJECT / "src/train.py"), *FAST, *synthetic, *where],
            cwd=tmp_path,
            env=os.environ | {"ALEXNET_CACHE": str(tmp_path / "cache")},
            stdout=subprocess.DEVNULL,
        )
        for _ in range(3)
    ]
    assert [process.wait(timeout=240) for process in processes] == [0, 0, 0]
    folders = list((tmp_path / "outputs/runs").iterdir())
    assert len(folders) == 3
    assert all(
        json.loads((folder / "result.json").read_text())["status"] == "completed" for folder in folders
    )


def test_a_search_in_one_process(train: Train, synthetic: tuple[str, ...]) -> None:
    """With Hydra's own launcher, too, a trial that diverges has not failed."""
    search = ("hydra/sweeper=search", "hydra.sweeper.n_trials=1", "hydra/launcher=basic")
    done = train("-m", *FAST, *synthetic, *search, "optimizer.lr=1e30,1e31")
    assert (done.status, done.err) == (0, "")
    assert "Trial 1 of 1: diverged with optimizer.lr=1e+3" in done.out
    assert "Best     none: all trials diverged." in done.out


@pytest.mark.slow
def test_a_search_by_optuna(train: Train, synthetic: tuple[str, ...]) -> None:
    """Each trial's error reaches Optuna, which takes the least; again, the same trials are all done.

    Two of the rates are of millions, with which the loss diverges.
    """
    command = ("-m", *FAST, *synthetic, "hydra/sweeper=search", "hydra.sweeper.n_trials=4")
    command += ("optimizer.lr=tag(log,interval(1e-25,1e35))", "model.lrn=true,false")
    done = train(*command)
    assert done.status == 0, done.err
    sweep = the_sweep(done.outputs)
    diverged = [name for name, result in results(sweep).items() if result["diverged"]]
    errors = {
        name: result["val"]["top1_error"] for name, result in results(sweep).items() if name not in diverged
    }
    assert diverged and len(errors) + len(diverged) == 4
    assert "Trial 4 of 4: " in done.out
    assert done.out.splitlines()[-1] == f"Results  {sweep / 'optimization_results.yaml'}"
    assert done.err == ""
    assert "compare.py" not in done.out  # its trials are no arms
    optimum = yaml.safe_load((sweep / "optimization_results.yaml").read_text())
    assert optimum["best_value"] == min(errors.values())
    best = optimum["best_params"]
    assert errors[f"optimizer.lr={best['optimizer.lr']},model.lrn={best['model.lrn']}".lower()] == min(
        errors.values()
    )

    times = {path: path.stat().st_mtime_ns for path in sweep.glob("*/result.json")}
    again = train(*command)
    assert again.status == 0, again.err
    assert {path: path.stat().st_mtime_ns for path in sweep.glob("*/result.json")} == times


@pytest.mark.slow
def test_the_objective_reaches_the_sweeper(synthetic: tuple[str, ...], tmp_path: Path) -> None:
    """A sweeper that calls the launcher twice, as Optuna's does: with numbers, errors and a batch again."""
    program = tmp_path / "sweeper.py"
    program.write_text(SWEEPER)
    done = subprocess.run(
        [sys.executable, str(program), str(PROJECT / "src/train.py"), *FAST, *synthetic],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(PROJECT / "src"), "ALEXNET_CACHE": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    first, second = json.loads(done.stdout.splitlines()[-1])
    result = json.loads((tmp_path / "sweep/model.dropout=0.5/result.json").read_text())
    assert first == [["COMPLETED", result["val"]["top1_error"]], ["FAILED", "JobsFailedError"]]
    assert second == [["COMPLETED", result["val"]["top1_error"]]]


SWEEPER = """
import json, sys
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.plugins import Plugins
from hydra.types import HydraContext, RunMode
from hydra._internal.callbacks import Callbacks
import alexnet.config.composition  # registers the schemas
from alexnet.paths import CONF

common = sys.argv[2:]
sys.argv = sys.argv[1:2]
with initialize_config_dir(str(CONF), version_base="1.3"):
    loader = GlobalHydra.instance().config_loader()
    config = loader.load_configuration("train", [*common, "hydra.sweep.dir=sweep"], RunMode.MULTIRUN)
    launcher = Plugins.instance().instantiate_launcher(
        config=config, task_function=None,
        hydra_context=HydraContext(config_loader=loader, callbacks=Callbacks(config)),
    )
    def outcome(item):
        try:
            return [item.status.name, item.return_value]
        except Exception as error:
            return [item.status.name, type(error).__name__]
    first = launcher.launch([[*common, "model.dropout=0.5"], [*common, "model.dropout=1.5"]], 0)
    second = launcher.launch([[*common, "model.dropout=0.5"]], 2)
    print(json.dumps([[outcome(item) for item in batch] for batch in (first, second)]))
"""


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["seed=0,1", "run_folder=x"], "run_folder=x: the jobs of a sweep cannot share a folder"),
        (["seed=0,1", "hydra.sweep.subdir=same"], "hydra.sweep.subdir gives different jobs the same folder"),
        (["seed=0,1", "hydra/launcher=slurm"], "hydra/launcher=slurm: there is no sbatch on this machine"),
        (["seed=0,1", "hydra.launcher.job=2"], "hydra.launcher.job: Hydra has no such key"),
        (["seed=0,1", "hydra.launcher.jobs=0"], "hydra.launcher.jobs=0: expected 1 or more"),
    ],
)
def test_a_mistake_ends_in_one_line(train: Train, overrides: list[str], expected: str) -> None:
    done = train("-m", *FAST, *overrides)
    assert done.status == 1
    (line,) = done.err.splitlines()
    assert line.startswith("Error: ") and expected in line
    assert not (done.outputs / "runs").exists()
