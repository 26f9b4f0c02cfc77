"""A sweep, DDP, requeued, cancelled and killed jobs on a real Slurm: `make test-slurm`."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from cluster import cluster, missing_programs

from alexnet.studies.record import read_record
from conftest import PROJECT, SMALL, Train

pytestmark = pytest.mark.slurm

CPU = ("trainer.accelerator=cpu", "logger=csv")
LAUNCHER = ("hydra/launcher=slurm", "hydra.launcher.cpus_per_task=1", "hydra.launcher.mem_gb=1")
SHORT = tuple(key for key in SMALL if not key.startswith("trainer.max_epochs"))
LONG = "trainer.max_epochs=2000"  # some minutes


@pytest.fixture(scope="session")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of a login node, with an address at which every node reaches the first process."""
    if missing := missing_programs():
        pytest.fail(
            f"make test-slurm needs {', '.join(missing)}. On Debian: apt-get install slurm-wlm munge",
            pytrace=False,
        )
    with cluster(tmp_path_factory.mktemp("slurm")) as environment:
        yield environment | {"MASTER_ADDR": "127.0.0.1"}


def sweep(outputs: Path) -> Path:
    (folder,) = (outputs / "sweeps").iterdir()
    return folder


def statuses(folder: Path) -> dict[str, str]:
    return {path.parent.name: json.loads(path.read_text())["status"] for path in folder.glob("*/result.json")}


def in_background(action: Callable[[], None]) -> None:
    threading.Thread(target=action, daemon=True).start()


def wait_for(condition: Callable[[], bool], seconds: int = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it has not happened"
        time.sleep(0.2)


def run_in(folder: Path, slurm: dict[str, str], *command: str) -> "subprocess.CompletedProcess[str]":
    """Run one of Slurm's programs in a folder, to its end."""
    return subprocess.run(
        command,
        cwd=folder,
        env=os.environ | {"ALEXNET_CACHE": str(folder / "cache")} | slurm,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def has_trained(run: Path) -> bool:
    return (run / "checkpoints/last.ckpt").exists()


def test_a_sweep(train: Train, synthetic: tuple[str, ...], slurm: dict[str, str]) -> None:
    """Two jobs and one with a mistake: it fails alone, in one line; nothing asks for GPUs or accounting."""
    command = ("-m", *SMALL, *CPU, *synthetic, *LAUNCHER, "model.dropout=0,0.5,1.5")
    done = train(*command, environment=slurm)
    assert done.status == 1
    (line,) = done.err.splitlines()
    assert line.startswith(
        "Error: 1 of 3 jobs failed. model.dropout=1.5: model.dropout=1.5: expected a number"
    )
    folder = sweep(done.outputs)
    assert statuses(folder) == dict.fromkeys(("model.dropout=0", "model.dropout=0.5"), "completed")
    again = train(*command, environment=slurm)
    assert "3 jobs, 2 already done" in again.out
    listed = train(f"study={folder}", program="compare.py")
    assert listed.status == 0, listed.err


def test_a_study_with_its_pilot(train: Train, synthetic: tuple[str, ...], slurm: dict[str, str]) -> None:
    """Slurm runs the pilot, then the arms at the rates that it chose; again, nothing is left to do."""
    command = ("-m", "study=innovations", "study.factors=[no_lrn]", "study.seeds=1", "study.baseline_seeds=1")
    command += ("study.pilot.rates=[0.001,0.002]", "study.pilot.seeds=1", "study.pilot.extensions=0")
    command += (*SMALL, *CPU, *synthetic, *LAUNCHER)
    done = train(*command, environment=slurm, timeout=900)
    assert done.status == 0, done.err
    (study,) = (done.outputs / "studies/innovations").iterdir()
    record = read_record(study)
    assert record is not None
    assert [trial.values["optimizer.lr"] for trial in record.trials] == [0.001, 0.002] * 2
    for arm in ("baseline", "no_lrn"):
        run = study / arm / "seed=0"
        assert json.loads((run / "result.json").read_text())["status"] == "completed"
        config = yaml.safe_load((run / "config.yaml").read_text())
        assert config["optimizer"]["lr"] == record.chosen[arm]["optimizer.lr"]
    assert list(study.rglob(".submitit"))  # Slurm ran them
    again = train(*command, environment=slurm)
    assert "2 runs, 0 to do" in again.out


def test_what_slurm_refuses(train: Train, synthetic: tuple[str, ...], slurm: dict[str, str]) -> None:
    command = ("-m", *SMALL, *CPU, *synthetic, *LAUNCHER, "hydra.launcher.partition=nowhere", "seed=0,1")
    done = train(*command, environment=slurm)
    assert done.status == 1
    (line,) = [line for line in done.err.splitlines() if not line.startswith("sbatch: ")]
    assert line.startswith("Error: Slurm rejected the jobs: Batch job submission failed: Invalid partition")


def test_a_time_limit(
    train: Train, synthetic: tuple[str, ...], slurm: dict[str, str], tmp_path: Path
) -> None:
    """The warning saves the run and requeues its job, which resumes; the launcher waits for it.

    Slurm runs a requeued job after two minutes.
    """
    run = tmp_path / "outputs/sweeps/limit/run"
    stopped: list[str] = []

    def shorten() -> None:
        """End the run soon after it has been resumed."""
        wait_for(lambda: run.joinpath("result.json").exists(), 400)
        stopped.append(json.loads((run / "result.json").read_text())["error"])
        wait_for(lambda: "Resuming" in (run / "train.log").read_text(), 240)
        subprocess.run(["scancel", "--me"], env=os.environ | slurm, check=True)

    in_background(shorten)
    limit = ("hydra.launcher.timeout_min=2", "hydra.launcher.signal_delay_s=60")
    command = ("-m", *SHORT, LONG, *CPU, *synthetic, *LAUNCHER, *limit, "seed=0")
    done = train(*command, f"hydra.sweep.dir={run.parent}", environment=slurm, timeout=900)
    assert stopped == ["stopped by SIGUSR1"]
    log = (run / "train.log").read_text()
    assert re.search(r"Slurm has requeued job \d+", log)
    assert re.search(r"Resuming .*/checkpoints/last\.ckpt", log)
    assert done.err.startswith("Error: 1 of 1 job failed.")  # cancelled, by this test


@pytest.mark.parametrize("how", ["scancel", "kill", "requeue"])
def test_one_job_is_ended(
    train: Train, synthetic: tuple[str, ...], slurm: dict[str, str], tmp_path: Path, how: str
) -> None:
    """The other is done; the error names the one that was ended."""
    folder = tmp_path / "outputs/sweeps/ended"
    long, short = (folder / f"trainer.max_epochs={epochs}" for epochs in (2000, 1))
    environment = os.environ | slurm

    def end() -> None:
        wait_for(lambda: has_trained(long))
        job = next(path for path in (folder / ".submitit").glob("*_0"))
        if how == "kill":
            pids = [path for path in Path("/proc").glob("[0-9]*") if _is_job(path, folder)]
            for process in pids:
                os.kill(int(process.name), signal.SIGKILL)
            return
        if how == "requeue":
            subprocess.run(["scontrol", "requeue", job.name], env=environment, check=True)
            wait_for(lambda: (long / "train.log").read_text().count("Resuming") > 0, 240)
        subprocess.run(["scancel", job.name], env=environment, check=True)

    in_background(end)
    command = ("-m", *SHORT, *CPU, *synthetic, *LAUNCHER, "trainer.max_epochs=2000,1")
    done = train(*command, f"hydra.sweep.dir={folder}", environment=slurm, timeout=600)
    assert done.status == 1
    (line,) = done.err.splitlines()
    state = "FAILED" if how == "kill" else "CANCELLED"
    assert re.search(rf"1 of 2 jobs failed\. {long.name}: Slurm has ended job \d+_0, {state} \(see", line)
    assert statuses(folder)[short.name] == "completed"


def _is_job(process: Path, folder: Path) -> bool:
    try:
        command = (process / "cmdline").read_bytes()
        environment = (process / "environ").read_bytes()
    except OSError:  # another user's, or ended
        return False
    return b"submitit.core._submit" in command and b"SLURM_ARRAY_TASK_ID=0\0" in environment


@pytest.mark.parametrize(
    ("tasks", "keys"),
    [
        (("--nodes=1", "--ntasks=2"), ("trainer.devices=2",)),
        (("--nodes=2", "--ntasks=2"), ("trainer.num_nodes=2",)),
    ],
    ids=["two tasks", "two nodes"],
)
def test_data_parallel_by_srun(
    synthetic: tuple[str, ...],
    slurm: dict[str, str],
    tmp_path: Path,
    tasks: tuple[str, ...],
    keys: tuple[str, ...],
) -> None:
    run = tmp_path / "run"
    command = [sys.executable, str(PROJECT / "src/train.py"), *SMALL, *CPU, *synthetic, *keys]
    done = run_in(tmp_path, slurm, "srun", *tasks, "--overcommit", *command, f"run_folder={run}")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Folder") == 1
    assert json.loads((run / "result.json").read_text())["status"] == "completed"


def test_torchrun_in_the_script_of_a_job(
    synthetic: tuple[str, ...], slurm: dict[str, str], tmp_path: Path
) -> None:
    """Its processes are torchrun's, though Slurm has started the script and says so to all in it."""
    run, out = tmp_path / "run", tmp_path / "out"
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    train_py = [str(PROJECT / "src/train.py"), *SMALL, *CPU, *synthetic]
    command = shlex.join([*torchrun, *train_py, "trainer.devices=2", f"run_folder={run}"])
    job = ("--wait", "--ntasks=2", "--overcommit", f"--output={out}", f"--wrap={command}")
    done = run_in(tmp_path, slurm, "sbatch", *job)
    printed = out.read_text()
    assert done.returncode == 0, printed
    assert printed.count("Folder") == 1
    assert json.loads((run / "result.json").read_text())["status"] == "completed"
