"""Runner of a sweep, from its jobs to its outcome, on this machine or through Slurm."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from shlex import quote

from filelock import FileLock, Timeout

from alexnet.errors import JobsFailedError, UserError
from alexnet.paths import command_for
from alexnet.studies.folder import completed_runs
from alexnet.sweeps.display import live_display
from alexnet.sweeps.job import Job
from alexnet.sweeps.queue import JobStatus, Queue, State
from alexnet.sweeps.slots import Slots
from alexnet.terminal import console, counted, duration


def lock_sweep(folder: Path) -> FileLock:
    """Lock the sweep's folder until this process ends. Raises `UserError` if another process holds it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / ".lock")
        lock.acquire(timeout=0)
    except Timeout:
        raise UserError(
            f"{folder}: this sweep is already running. Wait, or choose another folder: hydra.sweep.dir=..."
        ) from None
    except OSError as error:
        raise UserError(f"Cannot use the sweep's folder {folder}: {error.strerror}.") from error
    return lock


def run_jobs(
    jobs: Sequence[Job], slots: Slots, folder: Path, grace: float, *, part_of_search: bool = False
) -> list[JobStatus]:
    """Run the jobs that are not done, show their progress, and print the outcome.

    The outcome of a part of a search is printed by the sweeper. If stopped by a signal, raises
    `KeyboardInterrupt` with a line for the user once all jobs have ended.
    """
    began = time.monotonic()
    with live_display(transient=part_of_search) as display:
        queue = Queue(jobs, slots, display, grace)
        waiting = sum(status.state is State.waiting for status in queue.statuses)
        if not part_of_search:
            announce(len(jobs), len(jobs) - waiting, slots.describe(queue.devices, len(jobs)), folder)
        try:
            queue.run()
        except KeyboardInterrupt:
            done = sum(status.state is State.done for status in queue.statuses)
            raise KeyboardInterrupt(
                f"Stopped: {done} of {counted(len(jobs), 'job')} done. The same command runs the rest."
            ) from None
    done = sum(status.state is State.done for status in queue.statuses)
    if not part_of_search:
        conclude(len(jobs), done, time.monotonic() - began if waiting else None, folder)
    return queue.statuses


def announce(jobs: int, done: int, how: str, folder: Path) -> None:
    """Print what is about to be run."""
    before = f", {done} already done" if done else ""
    console.print(f"Sweep    {counted(jobs, 'job')}{before}, {how}: {folder}", markup=False)


def conclude(jobs: int, done: int, seconds: float | None, folder: Path) -> None:
    """Print how many jobs are done; `seconds` is None if none was left to do."""
    after = "" if seconds is None else f" after {duration(seconds)}"
    console.print(f"{done} of {counted(jobs, 'job')} done{after}: {folder}", markup=False)


def suggest_comparison(folder: Path) -> None:
    """Print the command that compares a sweep's runs, to be pasted into a shell; nothing for fewer than two.

    It is the last line of a sweep or study: whoever runs the whole of it calls this, once at its end.
    """
    if completed_runs(folder) > 1:
        console.out(f"Next     {command_for('compare')} study={quote(str(folder))}", highlight=False)


def failure(statuses: Sequence[JobStatus], logs: Path | None = None) -> JobsFailedError | None:
    """Return an error of one line about the jobs that failed; `logs` is where Slurm's jobs log."""
    failed = [status for status in statuses if status.state is State.failed]
    if not failed:
        return None
    first = failed[0]
    others = f" {len(failed) - 1} more failed." if len(failed) > 1 else ""
    return JobsFailedError(
        f"{len(failed)} of {counted(len(statuses), 'job')} failed. {first.job.name}:"
        f" {first.reason.rstrip('.')} (see {logs or first.job.log}).{others}"
        " The same command runs them again."
    )


def jobs_failed(jobs: Sequence[Job], reasons: Mapping[Path, str], logs: Path) -> JobsFailedError | None:
    """Return an error of one line about the jobs that failed in Slurm; `reasons` are by the jobs' folders."""
    statuses = [
        JobStatus(job, State.failed, reason=reasons[job.folder])
        if job.folder in reasons
        else JobStatus(job, State.done)
        for job in jobs
    ]
    return failure(statuses, logs)
