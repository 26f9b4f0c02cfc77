"""Scheduling, failing and stopping, with a program that stands for train.py."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from fake_sweep import fake_job
from processes import group_members, is_alive

from alexnet.config.hashing import config_hash
from alexnet.errors import UserError
from alexnet.sweeps.job import Job
from alexnet.sweeps.naming import sweep_folder
from alexnet.sweeps.queue import JobStatus, State
from alexnet.sweeps.runner import failure, lock_sweep, run_jobs
from alexnet.sweeps.slots import CoreSlots, GpuSlots
from conftest import wait_for

PROJECT = Path(__file__).resolve().parents[2]


def run(jobs: list[Job], at_once: int | None = 1, gpus: tuple[str, ...] = ()) -> list[JobStatus]:
    return run_jobs(jobs, GpuSlots(list(gpus), at_once), jobs[0].folder.parent, grace=5)


def make_jobs(folder: Path, *behaviours: str, devices: int = 1) -> list[Job]:
    return [fake_job(folder / f"job={i}", what, devices=devices) for i, what in enumerate(behaviours)]


def recorded_environment(job: Job) -> dict[str, str]:
    return json.loads((job.folder / "seen.json").read_text())


def journal(folder: Path) -> list[str]:
    """start <job> and end <job>, in the order in which they happened."""
    path = folder / "journal"
    return [" ".join(line.split()[:2]) for line in path.read_text().splitlines()] if path.exists() else []


def pid_of(name: str, folder: Path) -> int:
    """The process of a job that has started."""
    lines = [line.split() for line in (folder / "journal").read_text().splitlines()]
    return next(int(pid) for what, job, pid in lines if (what, job) == ("start", name))


def start_sweep(folder: Path, at_once: int, *behaviours: str, grace: float = 2) -> "subprocess.Popen[str]":
    """A sweep as a shell's foreground starts one: it handles signals, whatever pytest inherited."""

    def restore_signals() -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)

    return subprocess.Popen(
        [
            sys.executable,
            str(Path(__file__).with_name("fake_sweep.py")),
            str(folder),
            str(at_once),
            str(grace),
            *behaviours,
        ],
        env=os.environ | {"PYTHONPATH": str(PROJECT / "src"), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=restore_signals,
    )


def test_one_after_the_other_in_order(tmp_path: Path) -> None:
    statuses = run(make_jobs(tmp_path, "ok", "ok"))
    assert [status.state for status in statuses] == [State.done, State.done]
    assert journal(tmp_path) == ["start job=0", "end job=0", "start job=1", "end job=1"]
    assert [status.job.objective() for status in statuses] == [40.5, 40.5]


def test_no_more_at_a_time_than_asked_for(tmp_path: Path) -> None:
    run(make_jobs(tmp_path, *["ok"] * 5), at_once=2)
    running, most = 0, 0
    for line in journal(tmp_path):
        running += 1 if line.startswith("start") else -1
        most = max(most, running)
    assert most == 2
    assert len(journal(tmp_path)) == 10


def test_more_run_once_a_job_has_shown_how_little_memory_it_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Room for one by the guess, and for four by what the first has taken in its first epoch."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    jobs = make_jobs(tmp_path, "accompanied", *["ok"] * 3)
    run_jobs(jobs, CoreSlots(4, 4e9, None), tmp_path, grace=5)
    seen = [recorded_environment(job) for job in jobs]
    assert journal(tmp_path)[0] == "start job=0"
    assert journal(tmp_path).index("end job=0") > 1  # another has started by then
    assert max(float(each["began"]) for each in seen) > float(seen[0]["began"]) + 0.1
    assert {each["OMP_NUM_THREADS"] for each in seen} == {"1"}
    assert {each["ALEXNET_LAUNCHER_PID"] for each in seen} == {str(os.getpid())}


@pytest.mark.parametrize(("free", "told"), [(100, True), (10**12, False)])
def test_a_disk_that_jobs_would_fill(
    free: int, told: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Told once, by what the first job has left; the same command goes on without checkpoints."""
    jobs = make_jobs(tmp_path, *["ok"] * 4)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
    run(jobs)
    shown = capsys.readouterr().out
    assert shown.count("Disk     the 3 jobs still to run need about 0.0 GB") == told
    assert shown.count("callbacks.checkpoint.last=false") == told
    without = ["callbacks.checkpoint.last=false", "callbacks.checkpoint.best=false"]
    assert sweep_folder(["study=switches", *without]) == sweep_folder(["study=switches"])


def test_each_job_knows_how_many_run_beside_it(tmp_path: Path) -> None:
    jobs = make_jobs(tmp_path, *["ok"] * 3)
    run(jobs[:1], at_once=2)
    assert recorded_environment(jobs[0])["ALEXNET_SWEEP_JOBS"] == "1"
    run(jobs, at_once=3)
    assert [recorded_environment(job)["ALEXNET_SWEEP_JOBS"] for job in jobs[1:]] == ["2", "2"]


def test_each_job_sees_gpus_of_its_own(tmp_path: Path) -> None:
    jobs = make_jobs(tmp_path, *["ok"] * 3)
    run(jobs, at_once=None, gpus=("3", "7"))
    assert [recorded_environment(job)["CUDA_VISIBLE_DEVICES"] for job in jobs[:2]] == ["3", "7"]
    assert recorded_environment(jobs[2])["CUDA_VISIBLE_DEVICES"] in ("3", "7")
    pair = make_jobs(tmp_path / "pairs", "ok", devices=2)
    (tmp_path / "pairs").mkdir()
    run(pair, at_once=None, gpus=("3", "7"))
    assert recorded_environment(pair[0])["CUDA_VISIBLE_DEVICES"] == "3,7"


def test_a_failure_is_its_own_job_s_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    statuses = run(make_jobs(tmp_path, "fail", "ok", "silent", "unfinished", "ok"))
    assert [status.state.value for status in statuses] == ["failed", "done", "failed", "failed", "done"]
    assert statuses[0].reason == "the weights are gone."
    assert "or an error message" in statuses[2].reason
    assert "without a result" in statuses[3].reason
    out = capsys.readouterr().out
    assert "Started  job=0" in out
    assert re.search(r"^Failed   job=0 after 0:\d\d: the weights are gone\.$", out, re.MULTILINE)
    assert "2 of 5 jobs done" in out
    problem = failure(statuses)
    assert problem and str(problem).startswith("3 of 5 jobs failed. job=0: the weights are gone (see ")
    assert "\n" not in str(problem)


def test_a_run_that_diverges_has_failed_except_in_a_search(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In a search it is a bad outcome, which is not asked for again; elsewhere the next start repeats it."""
    (status,) = run([fake_job(tmp_path / "job=0", "diverge", in_a_search=True)])
    assert (status.state, status.job.diverged(), status.job.objective()) == (State.done, True, 100.0)
    assert "Done     job=0 after 0:0" in (out := capsys.readouterr().out)
    assert ": diverged\n" in out
    (status,) = run([fake_job(tmp_path / "job=0", "diverge", in_a_search=True)])
    assert journal(tmp_path) == ["start job=0"]
    (status,) = run([fake_job(tmp_path / "job=0", "diverge")])
    assert (status.state, status.reason) == (State.failed, "The training loss is no longer finite.")
    assert journal(tmp_path) == ["start job=0"] * 2
    other = fake_job(tmp_path / "job=0", "diverge", config_hash="another", in_a_search=True)
    assert not other.diverged() and not other.is_done()


def test_a_killed_job_fails_alone(tmp_path: Path) -> None:
    with start_sweep(tmp_path, 2, "hang", "ok", "ok") as sweep:
        wait_for(lambda: "end job=2" in journal(tmp_path))
        pid = pid_of("job=0", tmp_path)
        os.kill(pid, signal.SIGKILL)
        out, err = sweep.communicate(timeout=60)
    assert sweep.returncode == 1
    assert "Failed   job=0" in out and "killed by SIGKILL" in out
    assert err.startswith("Error: 1 of 3 jobs failed. job=0: killed by SIGKILL")


def test_what_a_failed_job_started_ends_with_it(tmp_path: Path) -> None:
    with start_sweep(tmp_path, 1, "family", "ok") as sweep:
        wait_for((tmp_path / "job=0" / "child").exists)
        wait_for(lambda: (tmp_path / "job=0" / "child").read_text() != "")
        os.kill(pid_of("job=0", tmp_path), signal.SIGKILL)
        sweep.communicate(timeout=60)
    assert not is_alive(int((tmp_path / "job=0" / "child").read_text()))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_stopping_leaves_no_process(tmp_path: Path, number: signal.Signals) -> None:
    """Each job has the time to write its result; one that ignores the signal is killed."""
    with start_sweep(tmp_path, 3, "hang", "deaf", "family", "ok") as sweep:
        jobs = [tmp_path / f"job={i}" for i in range(3)]
        wait_for(lambda: all((job / "metrics.csv").exists() for job in jobs))
        wait_for((jobs[2] / "child").exists)
        groups = [json.loads((job / "seen.json").read_text())["group"] for job in jobs]
        assert all(group_members(group) for group in groups)
        sweep.send_signal(number)
        out, err = sweep.communicate(timeout=60)
    assert sweep.returncode == 1
    assert "Stopping 3 jobs: 2 s" in out
    assert err == "Stopped: 0 of 4 jobs done. The same command runs the rest.\n"
    assert [group_members(group) for group in groups] == [[], [], []]
    assert json.loads((jobs[0] / "result.json").read_text())["status"] == "interrupted"
    assert not (jobs[1] / "result.json").exists()
    assert "start job=3" not in journal(tmp_path)


def test_asking_twice_stops_at_once(tmp_path: Path) -> None:
    with start_sweep(tmp_path, 1, "deaf", grace=60) as sweep:
        wait_for((tmp_path / "job=0" / "metrics.csv").exists)
        assert sweep.stdout is not None
        sweep.send_signal(signal.SIGINT)
        while not sweep.stdout.readline().startswith("Stopping"):
            assert sweep.poll() is None
        sweep.send_signal(signal.SIGINT)
        sweep.communicate(timeout=60)
    assert sweep.returncode == 1


def test_no_orphans_and_nothing_twice_after_kill_9(tmp_path: Path) -> None:
    """The launcher's whole process group is killed; its jobs are in other groups, and end as well."""
    with start_sweep(tmp_path, 2, "ok", "family", "hang") as sweep:
        wait_for(lambda: "start job=2" in journal(tmp_path))
        wait_for((tmp_path / "job=1" / "child").exists)
        wait_for((tmp_path / "job=2" / "metrics.csv").exists)
        groups = [json.loads((tmp_path / f"job={i}" / "seen.json").read_text())["group"] for i in (1, 2)]
        os.killpg(sweep.pid, signal.SIGKILL)
    wait_for(lambda: not any(group_members(group) for group in groups))
    with start_sweep(tmp_path, 2, "ok", "ok", "ok") as again:
        out, err = again.communicate(timeout=60)
    assert (again.returncode, err) == (0, "")
    assert "3 jobs, 1 already done" in out
    starts = [line for line in journal(tmp_path) if line.startswith("start")]
    assert sorted(starts) == sorted(["start job=0"] + ["start job=1", "start job=2"] * 2)
    for name in ("job=1", "job=2"):
        assert (tmp_path / f"{name}.failed-1" / "metrics.csv").exists()
        assert (tmp_path / f"{name}.failed-1.log").exists()
        assert (tmp_path / name / "result.json").exists()


def test_what_was_interrupted_is_resumed_and_what_failed_starts_over(tmp_path: Path) -> None:
    config = {"seed": 0}
    made = {}
    for name, result in (("killed", None), ("interrupted", "interrupted"), ("failed", "failed")):
        job = fake_job(tmp_path / name, "ok", config_hash(config))
        job.folder.mkdir()
        (job.folder / "config.yaml").write_text("seed: 0")
        if result:
            (job.folder / "result.json").write_text(json.dumps({"status": result, "error": "no luck"}))
        made[name] = job
    other = fake_job(tmp_path / "interrupted", "ok", "other")
    for job in made.values():
        job.set_aside()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["failed.failed-1", "interrupted", "killed"]
    other.set_aside()
    assert (tmp_path / "interrupted.failed-1").exists()


def test_of_three_launchers_one_runs(tmp_path: Path) -> None:
    """Started at the same time in the same folder: no job runs twice, and the others say why not."""
    sweeps = [start_sweep(tmp_path, 1, *["ok"] * 3) for _ in range(3)]
    ended = [sweep.communicate(timeout=60) for sweep in sweeps]
    assert sorted(sweep.returncode for sweep in sweeps) == [0, 1, 1]
    refusals = [err for _, err in ended if err]
    assert len(refusals) == 2
    assert all("this sweep is already running" in err and err.count("\n") == 1 for err in refusals)
    assert journal(tmp_path).count("start job=0") == 1


def test_a_lock_is_gone_with_its_process(tmp_path: Path) -> None:
    lock_sweep(tmp_path).release()
    lock = lock_sweep(tmp_path)
    with pytest.raises(UserError, match="already running"):
        lock_sweep(tmp_path)
    lock.release()


def test_another_configuration_s_result_is_not_touched(tmp_path: Path) -> None:
    (job,) = make_jobs(tmp_path, "ok")
    run([job])
    job.check_folder({})
    other = fake_job(job.folder, "ok", config_hash="other")
    with pytest.raises(UserError, match="finished run of another configuration"):
        other.check_folder({})


@pytest.mark.parametrize("status", ["completed", "interrupted", None, "failed"])
def test_a_run_on_other_data_is_not_touched(tmp_path: Path, status: str | None) -> None:
    """Unless it failed: that one is set aside, as one of the same configuration is."""
    configs = [{"seed": 0, "outputs": name, "data": {"root": f"/{name}"}} for name in "ab"]
    jobs = [fake_job(tmp_path / "seed=0", "ok", config_hash(config)) for config in configs]
    folder = jobs[0].folder
    folder.mkdir()
    (folder / "config.yaml").write_text(yaml.safe_dump(configs[0]))
    if status is not None:
        result = {"status": status, "config_hash": jobs[0].config_hash}
        (folder / "result.json").write_text(json.dumps(result))
    jobs[0].check_folder(configs[0])
    if status == "failed":
        jobs[1].check_folder(configs[1])
        return
    with pytest.raises(UserError) as refusal:
        jobs[1].check_folder(configs[1])
    finished = "a finished" if status == "completed" else "an unfinished"
    expected = f"{folder} contains {finished} run of another configuration, data.root=/a instead of /b. Move"
    assert str(refusal.value).startswith(expected)
    assert len(str(refusal.value).splitlines()) == 1
