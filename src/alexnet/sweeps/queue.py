"""The queue of a sweep: jobs, and the GPUs that they wait for."""

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
    """Where a job runs: the GPUs that it sees; none on the CPU."""

    gpus: tuple[str, ...]
    environment: dict[str, str]


class GpuSlots:
    """The GPUs of this machine, and the jobs on each.

    `jobs` is how many may run at a time; None is as many as have GPUs of their own, and one on
    the CPU. A larger number shares GPUs evenly.
    """

    def __init__(self, gpus: list[str], jobs: int | None) -> None:
        self.gpus, self.jobs = gpus, jobs
        self._running = 0
        self._load = Counter(dict.fromkeys(gpus, 0))

    def limit(self, devices: int) -> int:
        """How many jobs of so many devices may run at a time."""
        return self.jobs or max(1, len(self.gpus) // devices)

    def take(self, devices: int) -> GpuSlot | None:
        """A place for a job of so many devices; None while there is none free."""
        idle_first = sorted(self.gpus, key=lambda gpu: self._load[gpu])
        chosen = tuple(sorted(idle_first[:devices], key=self.gpus.index))
        too_busy = self.jobs is None and any(self._load[gpu] for gpu in chosen)
        if too_busy or self._running >= self.limit(devices):
            return None
        self._running += 1
        self._load.update(chosen)
        return GpuSlot(chosen, self._environment(chosen, devices))

    def give_back(self, place: GpuSlot) -> None:
        """The job that was there has ended."""
        self._running -= 1
        self._load.subtract(place.gpus)

    def _environment(self, chosen: tuple[str, ...], devices: int) -> dict[str, str]:
        environment = {"CUDA_VISIBLE_DEVICES": ",".join(chosen)} if chosen else {}
        limit = self.limit(devices)
        if limit > 1 and "OMP_NUM_THREADS" not in os.environ:  # or all jobs would use all cores
            # not from how many jobs are left to do: the threads decide how sums are rounded
            threads = max(1, (os.cpu_count() or 1) // (limit * devices))
            environment["OMP_NUM_THREADS"] = str(threads)
        return environment


def visible_gpus(accelerator: str) -> list[str]:
    """What CUDA_VISIBLE_DEVICES may name here; nothing for the CPU and for Apple's GPU."""
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
    """Where a job is."""

    waiting = "waiting"
    running = "running"
    done = "done"
    failed = "failed"
    stopped = "stopped"


@dataclass
class JobStatus:
    """A job in the queue and how it fares."""

    job: Job
    state: State = State.waiting
    place: GpuSlot | None = None
    process: JobProcess | None = None
    began: float = 0.0
    seconds: float | None = None  # None for one that was done before
    reason: str = ""


class Display(Protocol):
    """Shows the queue to a person."""

    def changed(self, entry: JobStatus) -> None:
        """A job has started or ended."""

    def refresh(self, entries: Sequence[JobStatus]) -> None:
        """Some time has passed."""

    def stopping(self, running: int, grace: float) -> None:
        """The jobs that run are asked to end, and have `grace` seconds."""


@dataclass
class StopRequests:
    """How often somebody asked to stop."""

    asked: int = 0

    def ask(self, number: int, frame: FrameType | None) -> None:
        self.asked += 1


class Queue:
    """The jobs of a sweep. Those that are done already are not run again."""

    def __init__(self, jobs: Sequence[Job], devices: GpuSlots, display: Display, grace: float) -> None:
        self.entries = [JobStatus(job, State.done if job.is_done() else State.waiting) for job in jobs]
        self._devices, self._display, self._grace = devices, display, grace

    def run(self) -> None:
        """Raises `KeyboardInterrupt`, when no job runs any more, for SIGINT, SIGTERM and SIGHUP.

        A job has `grace` seconds to end by itself; asking a second time cuts them short.
        """
        with _stop_signals() as stop:
            try:
                while not stop.asked and self._of(State.waiting, State.running):
                    self._start()
                    self._display.refresh(self.entries)
                    time.sleep(POLL_SECONDS)
                    self._collect()
            finally:
                self._stop(stop)
                self._display.refresh(self.entries)
        if stop.asked:
            raise KeyboardInterrupt

    def _of(self, *states: State) -> list[JobStatus]:
        return [entry for entry in self.entries if entry.state in states]

    def _start(self) -> None:
        for entry in self._of(State.waiting):
            place = self._devices.take(entry.job.devices)
            if place is None:
                return  # in order: a job of many devices is not overtaken for ever
            entry.place, entry.began = place, time.monotonic()
            entry.job.set_aside()
            entry.process = JobProcess(entry.job, place.environment)
            entry.state = State.running
            self._display.changed(entry)

    def _collect(self, stopping: bool = False) -> None:
        for entry in self._of(State.running):
            assert entry.process is not None and entry.place is not None
            status = entry.process.status()
            if status is None:
                continue
            self._devices.give_back(entry.place)
            entry.seconds = time.monotonic() - entry.began
            if entry.job.is_done():
                entry.state = State.done
            else:
                entry.state = State.stopped if stopping else State.failed
                entry.reason = "" if stopping else entry.job.why_failed(status)
            self._display.changed(entry)

    def _stop(self, stop: StopRequests) -> None:
        asked, deadline = stop.asked, time.monotonic() + self._grace
        running = self._of(State.running)
        if running:
            self._display.stopping(len(running), self._grace)
        for entry in running:
            assert entry.process is not None
            entry.process.interrupt()
        while self._of(State.running) and stop.asked == asked and time.monotonic() < deadline:
            self._display.refresh(self.entries)
            time.sleep(POLL_SECONDS)
            self._collect(stopping=True)
        for entry in self._of(State.running):
            assert entry.process is not None
            entry.process.kill()
        self._collect(stopping=True)


@contextmanager
def _stop_signals() -> Iterator[StopRequests]:
    stop = StopRequests()
    numbers = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
    before = {number: signal.getsignal(number) for number in numbers}
    heeded = [number for number in numbers if before[number] is not signal.SIG_IGN]  # nohup stays nohup
    for number in heeded:
        signal.signal(number, stop.ask)
    try:
        yield stop
    finally:
        for number in heeded:
            signal.signal(number, before[number])
