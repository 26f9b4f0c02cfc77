"""Queue of a sweep: its jobs, and the slots that they wait for."""

import shutil
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from types import FrameType
from typing import Protocol

from alexnet.runs.load import SWEEP_JOBS
from alexnet.sweeps.job import Job, JobProcess
from alexnet.sweeps.slots import Slot, Slots

POLL_SECONDS = 0.2


class State(Enum):
    """State of a job in the queue."""

    waiting = "waiting"
    running = "running"
    done = "done"
    failed = "failed"
    stopped = "stopped"


@dataclass
class JobStatus:
    """A job in the queue, its state and the slot and process that it runs in."""

    job: Job
    state: State = State.waiting
    slot: Slot | None = None
    process: JobProcess | None = None
    began: float = 0.0
    seconds: float | None = None  # None for a job that was done before this sweep
    reason: str = ""


class Display(Protocol):
    """Interface of what shows the queue on the terminal."""

    def changed(self, status: JobStatus) -> None:
        """Show that a job has started or ended."""

    def refresh(self, statuses: Sequence[JobStatus], at_once: int) -> None:
        """Show the current state of all jobs, of which `at_once` run at a time."""

    def short_of_space(self, jobs: int, each: int, free: int) -> None:
        """Show that `jobs` more jobs of `each` bytes do not fit on the disk, which has `free` bytes."""

    def stopping(self, running: int, grace: float) -> None:
        """Show that `running` jobs are being stopped and have `grace` seconds to end."""


@dataclass
class StopRequests:
    """Number of signals received that ask the sweep to stop."""

    count: int = 0

    def record(self, number: int, frame: FrameType | None) -> None:
        self.count += 1


class Queue:
    """Queue of a sweep's jobs. Jobs that are done already are not run again."""

    def __init__(self, jobs: Sequence[Job], slots: Slots, display: Display, grace: float) -> None:
        self.statuses = [JobStatus(job, State.done if job.is_done() else State.waiting) for job in jobs]
        self._slots, self._display, self._grace = slots, display, grace
        self.devices = max(job.devices for job in jobs)
        self._knows_space = False
        self._side_by_side = min(self.at_once, len(self._in_state(State.waiting)))
        for status in self.statuses:
            self._expect_memory(status)

    @property
    def at_once(self) -> int:
        """Number of jobs that run at a time, as far as it is known; see `CoreSlots`."""
        return self._slots.limit(self.devices)

    def run(self) -> None:
        """Run all jobs that wait.

        SIGINT, SIGTERM and SIGHUP stop the jobs, which have `grace` seconds to end by themselves; a second
        signal kills them. `KeyboardInterrupt` is raised once no job runs any more.
        """
        with _stop_signals() as stop:
            try:
                while not stop.count and self._in_state(State.waiting, State.running):
                    self._check_space()
                    self._start()
                    self._refresh()
                    time.sleep(POLL_SECONDS)
                    self._collect()
            finally:
                self._stop(stop)
                self._refresh()
        if stop.count:
            raise KeyboardInterrupt

    def _refresh(self) -> None:
        self._display.refresh(self.statuses, self.at_once)

    def _expect_memory(self, status: JobStatus) -> None:
        if (peak := status.job.peak_memory()) is not None:
            self._slots.expect_memory(peak, status.job.devices)

    def _check_space(self) -> None:
        """Warn where the disk lacks the space for what is left, by the first job that is done."""
        done, waiting = self._in_state(State.done), self._in_state(State.waiting)
        if self._knows_space or not done or not waiting:
            return
        self._knows_space = True
        each, free = done[0].job.disk_space(), shutil.disk_usage(done[0].job.folder).free
        if len(waiting) * each > free:
            self._display.short_of_space(len(waiting), each, free)

    def _in_state(self, *states: State) -> list[JobStatus]:
        return [status for status in self.statuses if status.state in states]

    def _start(self) -> None:
        for status in self._in_state(State.waiting):
            slot = self._slots.acquire(status.job.devices)
            if slot is None:
                return  # in order: or jobs of few devices would always overtake one of many
            status.slot, status.began = slot, time.monotonic()
            status.job.set_aside()
            environment = slot.environment | {SWEEP_JOBS: str(self._side_by_side)}
            status.process = JobProcess(status.job, environment)
            status.state = State.running
            self._display.changed(status)

    def _collect(self, stopping: bool = False) -> None:
        for status in self._in_state(State.running):
            assert status.process is not None and status.slot is not None
            self._expect_memory(status)
            exit_code = status.process.poll()
            if exit_code is None:
                continue
            self._slots.release(status.slot)
            status.seconds = time.monotonic() - status.began
            if status.job.is_done():
                status.state = State.done
            else:
                status.state = State.stopped if stopping else State.failed
                status.reason = "" if stopping else status.job.failure_reason(exit_code)
            self._display.changed(status)

    def _stop(self, stop: StopRequests) -> None:
        signals_before, deadline = stop.count, time.monotonic() + self._grace
        running = self._in_state(State.running)
        if running:
            self._display.stopping(len(running), self._grace)
        for status in running:
            assert status.process is not None
            status.process.interrupt()
        while self._in_state(State.running) and stop.count == signals_before and time.monotonic() < deadline:
            self._refresh()
            time.sleep(POLL_SECONDS)
            self._collect(stopping=True)
        for status in self._in_state(State.running):
            assert status.process is not None
            status.process.kill()
        self._collect(stopping=True)


@contextmanager
def _stop_signals() -> Iterator[StopRequests]:
    stop = StopRequests()
    numbers = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
    before = {number: signal.getsignal(number) for number in numbers}
    handled = [number for number in numbers if before[number] is not signal.SIG_IGN]  # nohup stays nohup
    for number in handled:
        signal.signal(number, stop.record)
    try:
        yield stop
    finally:
        for number in handled:
            signal.signal(number, before[number])
