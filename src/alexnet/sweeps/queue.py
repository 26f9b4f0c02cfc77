"""Queue of a sweep: its jobs, and the GPUs that they wait for."""

import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from types import FrameType
from typing import Protocol

from alexnet.sweeps.job import Job, JobProcess


@dataclass(frozen=True)
class GpuSlot:
    """GPUs that a job sees, none on the CPU, and the environment variables that say so."""

    gpus: tuple[str, ...]
    environment: dict[str, str]


class GpuSlots:
    """Slots for jobs on the GPUs of this machine.

    `jobs` is the number of jobs that may run at a time; None stands for as many as get GPUs of their own, and
    for one on the CPU. A larger number shares GPUs evenly.
    """

    def __init__(self, gpus: list[str], jobs: int | None) -> None:
        self.gpus, self.jobs = gpus, jobs
        self._running = 0
        self._load = Counter(dict.fromkeys(gpus, 0))

    def limit(self, devices: int) -> int:
        """Return how many jobs that need `devices` devices each may run at a time."""
        return self.jobs or max(1, len(self.gpus) // devices)

    def acquire(self, devices: int) -> GpuSlot | None:
        """Return a slot for a job that needs `devices` devices, or None while none is free."""
        idle_first = sorted(self.gpus, key=lambda gpu: self._load[gpu])
        chosen = tuple(sorted(idle_first[:devices], key=self.gpus.index))
        too_busy = self.jobs is None and any(self._load[gpu] for gpu in chosen)
        if too_busy or self._running >= self.limit(devices):
            return None
        self._running += 1
        self._load.update(chosen)
        return GpuSlot(chosen, self._environment(chosen, devices))

    def release(self, slot: GpuSlot) -> None:
        """Free the slot of a job that has ended."""
        self._running -= 1
        self._load.subtract(slot.gpus)

    def _environment(self, chosen: tuple[str, ...], devices: int) -> dict[str, str]:
        environment = {"CUDA_VISIBLE_DEVICES": ",".join(chosen)} if chosen else {}
        limit = self.limit(devices)
        if limit > 1 and "OMP_NUM_THREADS" not in os.environ:  # without it every job would use all cores
            # independent of how many jobs are left: the number of threads decides how sums are rounded
            threads = max(1, (os.cpu_count() or 1) // (limit * devices))
            environment["OMP_NUM_THREADS"] = str(threads)
        return environment


def visible_gpus(accelerator: str) -> list[str]:
    """Return the names that CUDA_VISIBLE_DEVICES may hold here; none for the CPU and for Apple's GPU."""
    if accelerator not in ("auto", "gpu"):
        return []
    if (visible := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        return [gpu.strip() for gpu in visible.split(",") if gpu.strip() not in ("", "-1", "NoDevFiles")]
    try:
        listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=60, check=True)
    except (OSError, subprocess.SubprocessError):
        import torch  # takes seconds; it also knows AMD's GPUs

        return [str(index) for index in range(torch.cuda.device_count())]
    gpus = [line for line in listed.stdout.splitlines() if line.startswith("GPU ")]
    return [str(index) for index in range(len(gpus))]


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
    slot: GpuSlot | None = None
    process: JobProcess | None = None
    began: float = 0.0
    seconds: float | None = None  # None for a job that was done before this sweep
    reason: str = ""


class Display(Protocol):
    """Interface of what shows the queue on the terminal."""

    def changed(self, status: JobStatus) -> None:
        """Show that a job has started or ended."""

    def refresh(self, statuses: Sequence[JobStatus]) -> None:
        """Show the current state of all jobs."""

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

    def __init__(self, jobs: Sequence[Job], slots: GpuSlots, display: Display, grace: float) -> None:
        self.statuses = [JobStatus(job, State.done if job.is_done() else State.waiting) for job in jobs]
        self._slots, self._display, self._grace = slots, display, grace

    def run(self) -> None:
        """Run all jobs that wait.

        SIGINT, SIGTERM and SIGHUP stop the jobs, which have `grace` seconds to end by themselves; a second
        signal kills them. `KeyboardInterrupt` is raised once no job runs any more.
        """
        with _stop_signals() as stop:
            try:
                while not stop.count and self._in_state(State.waiting, State.running):
                    self._start()
                    self._display.refresh(self.statuses)
                    time.sleep(POLL_SECONDS)
                    self._collect()
            finally:
                self._stop(stop)
                self._display.refresh(self.statuses)
        if stop.count:
            raise KeyboardInterrupt

    def _in_state(self, *states: State) -> list[JobStatus]:
        return [status for status in self.statuses if status.state in states]

    def _start(self) -> None:
        for status in self._in_state(State.waiting):
            slot = self._slots.acquire(status.job.devices)
            if slot is None:
                return  # in order: or jobs of few devices would always overtake one of many
            status.slot, status.began = slot, time.monotonic()
            status.job.set_aside()
            status.process = JobProcess(status.job, slot.environment)
            status.state = State.running
            self._display.changed(status)

    def _collect(self, stopping: bool = False) -> None:
        for status in self._in_state(State.running):
            assert status.process is not None and status.slot is not None
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
            self._display.refresh(self.statuses)
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
