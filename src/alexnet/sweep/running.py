"""A sweep from its jobs to what came of them."""

import time
from collections.abc import Sequence
from pathlib import Path

from filelock import FileLock, Timeout

from alexnet.errors import UserError
from alexnet.progress import console, duration
from alexnet.sweep.devices import Devices
from alexnet.sweep.display import shown
from alexnet.sweep.job import Job
from alexnet.sweep.queue import Entry, Queue, State


def lock_sweep(folder: Path) -> FileLock:
    """Make the sweep's folder this process's own, until it ends. Raises `UserError` where another has it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / ".lock")
        lock.acquire(timeout=0)
    except Timeout:
        raise UserError(
            f"{folder}: this sweep is already running. Wait for it, or give another hydra.sweep.dir=..."
        ) from None
    except OSError as error:
        raise UserError(f"Cannot use the sweep's folder {folder}: {error.strerror}.") from error
    return lock


def run_jobs(jobs: Sequence[Job], devices: Devices, folder: Path, grace: float) -> list[Entry]:
    """Run those that are not done, show how they fare, and say what came of them.

    Raises `KeyboardInterrupt` with a line for the user, when all have ended, if it was asked to stop.
    """
    at_once = devices.limit(max(job.devices for job in jobs))
    began = time.monotonic()
    with shown(at_once) as display:
        queue = Queue(jobs, devices, display, grace)
        waiting = sum(entry.state is State.waiting for entry in queue.entries)
        announce(len(jobs), len(jobs) - waiting, f"{at_once} at a time", folder)
        try:
            queue.run()
        except KeyboardInterrupt:
            done = sum(entry.state is State.done for entry in queue.entries)
            raise KeyboardInterrupt(
                f"Stopped: {done} of {_jobs(len(jobs))} done. The same command does the rest."
            ) from None
    done = sum(entry.state is State.done for entry in queue.entries)
    conclude(len(jobs), done, time.monotonic() - began if waiting else None, folder)
    return queue.entries


def announce(jobs: int, done: int, how: str, folder: Path) -> None:
    """Say what is about to happen."""
    before = f", {done} of them done before" if done else ""
    console.print(f"Sweep    {_jobs(jobs)}{before}, {how}: {folder}", markup=False)


def conclude(jobs: int, done: int, seconds: float | None, folder: Path) -> None:
    """Say how many are done; `seconds` is None where none was left to do."""
    after = "" if seconds is None else f" after {duration(seconds)}"
    console.print(f"{done} of {_jobs(jobs)} done{after}: {folder}", markup=False)


def failure(entries: Sequence[Entry], logs: Path | None = None) -> UserError | None:
    """What to tell of the jobs that failed, in one line; `logs` where they are not in the jobs' own."""
    failed = [entry for entry in entries if entry.state is State.failed]
    if not failed:
        return None
    first = failed[0]
    others = f" {len(failed) - 1} more failed." if len(failed) > 1 else ""
    return UserError(
        f"{len(failed)} of {_jobs(len(entries))} failed. {first.job.name}: {first.reason.rstrip('.')} (see"
        f" {logs or first.job.log}).{others} The same command runs them again."
    )


def _jobs(count: int) -> str:
    return f"{count} job{'' if count == 1 else 's'}"
