"""`hydra/launcher=slurm`, with programs that stand for Slurm."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from fake_slurm import asked, end, install
from submitit import Job
from submitit.core.utils import DelayedSubmission

from alexnet.errors import UserError
from alexnet.sweeps.slurm import check_not_queued, submit
from conftest import Train

FAST = ("debug=fast", "trainer.accelerator=cpu", "logger=csv")


Environment = dict[str, str]


@pytest.fixture
def slurm(tmp_path: Path) -> Iterator[Environment]:
    """The environment of a login node."""
    yield install(tmp_path / "slurm")
    end(tmp_path / "slurm")


@pytest.mark.slow
def test_a_study_on_slurm(
    train: Train, synthetic: tuple[str, ...], tmp_path: Path, slurm: Environment
) -> None:
    """Two runs of two tasks each, in the folders of a study; the same command again submits nothing."""
    command = ("-m", "study=innovations", "study.factors=[no_lrn]", "study.pilot=null", "study.seeds=1")
    command += ("study.baseline_seeds=1", "trainer.devices=2")
    command += (
        "debug=fast",
        "trainer.accelerator=auto",
        "logger=wandb",
        "logger.mode=offline",
        *synthetic,
        "hydra/launcher=slurm",
        "hydra.launcher.partition=gpu",
    )
    done = train(*command, environment=slurm)
    assert done.status == 0, done.err
    script = (tmp_path / "slurm/1.sh").read_text()
    expected = {"nodes": "1", "ntasks-per-node": "2", "gpus-per-node": "2", "partition": "gpu"}
    assert expected.items() <= asked(script).items()
    assert "gpus-per-task" not in asked(script)  # or each task would see one GPU, and Lightning needs both

    (study,) = (done.outputs / "studies/innovations").iterdir()
    for arm in ("baseline", "no_lrn"):
        result = json.loads((study / arm / "seed=0/result.json").read_text())
        assert result["status"] == "completed"
        assert (study / arm / "seed=0/metrics.csv").exists()
        logger = yaml.safe_load((study / arm / "seed=0/config.yaml").read_text())["logger"]
        assert (logger["name"], logger["job_type"]) == (f"{arm}/seed=0", arm)
    assert not (done.outputs / "runs").exists()
    compared = train(f"study={study}", program="compare.py")
    assert compared.status == 0, compared.err
    assert "no_lrn" in compared.out

    times = {path: path.stat().st_mtime_ns for path in study.glob("*/*/result.json")}
    again = train(*command, environment=slurm)
    assert again.status == 0, again.err
    assert "2 runs, 0 to do" in again.out
    assert {path: path.stat().st_mtime_ns for path in study.glob("*/*/result.json")} == times
    assert not (tmp_path / "slurm/2.sh").exists()


@pytest.mark.slow
def test_a_mistake_fails_alone(
    train: Train, synthetic: tuple[str, ...], tmp_path: Path, slurm: Environment
) -> None:
    command = ("-m", *FAST, *synthetic, "hydra/launcher=slurm", "model.dropout=0.5,1.5")
    done = train(*command, environment=slurm)
    assert done.status == 1
    (line,) = done.err.splitlines()
    assert line.startswith(
        "Error: 1 of 2 jobs failed. model.dropout=1.5: model.dropout=1.5: expected a number"
    )
    (sweep,) = (done.outputs / "sweeps").iterdir()
    assert [path.parent.name for path in sweep.glob("*/result.json")] == ["model.dropout=0.5"]
    assert "gpus-per-node" not in asked((tmp_path / "slurm/1.sh").read_text())  # trainer.accelerator=cpu


def test_jobs_that_are_queued_are_not_submitted_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, slurm: Environment
) -> None:
    monkeypatch.setenv("PATH", slurm["PATH"])
    monkeypatch.setattr("alexnet.sweeps.slurm.CLOSING_SECONDS", 0)
    logs = tmp_path / "study/.submitit"
    for name in ("7_0", "7_1", "12", "%j"):
        (logs / name).mkdir(parents=True)
    check_not_queued(logs)
    (tmp_path / "slurm/queued").write_text("3\n7\n7\n")
    with pytest.raises(UserError, match=r"study: jobs .* are still in Slurm's queue.* scancel 7\. "):
        check_not_queued(logs)
    check_not_queued(tmp_path / "other")


def test_how_often_a_job_is_requeued(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, slurm: Environment
) -> None:
    """Submitit counts down in the job; it saves what it submits, which is looked at here."""
    monkeypatch.setenv("PATH", slurm["PATH"])
    submitted: list[Job[str]] = []
    monkeypatch.setattr("alexnet.sweeps.slurm._outcome", submitted.append)
    folder = tmp_path / "logs/%j"
    parameters = {"submitit_folder": str(folder), "max_num_timeout": 7, "tasks_per_node": 1, "nodes": 1}
    submit(str, [("x",)], parameters)
    (job,) = submitted
    assert DelayedSubmission.load(job.paths.submitted_pickle)._timeout_countdown == 7
