"""Runs jobs, as many at a time as have a place, until all have ended or somebody stops them."""

import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from types import FrameType
from typing import Protocol

from alexnet.sweep.devices import Devices, Place
from alexnet.sweep.job import Job
from alexnet.sweep.process import JobProcess

POLL_SECONDS = 0.2


class State(Enum):
    """Where a job is."""

    waiting = "waiting"
    running = "running"
    done = "done"
    failed = "failed"
    stopped = "stopped"


@dataclass
class Entry:
    """A job in the queue and how it fares."""

    job: Job
    state: State = State.waiting
    place: Place | None = None
    process: JobProcess | None = None
    began: float = 0.0
    seconds: float | None = None  # None for one that was done before
    reason: str = ""


class Display(Protocol):
    """Shows the queue to a person."""

    def changed(self, entry: Entry) -> None:
        """A job has started or ended."""

    def refresh(self, entries: Sequence[Entry]) -> None:
        """Some time has passed."""

    def stopping(self, running: int, grace: float) -> None:
        """The jobs that run are asked to end, and have `grace` seconds."""


@dataclass
class Stop:
    """How often somebody asked to stop."""

    asked: int = 0

    def ask(self, number: int, frame: FrameType | None) -> None:
        self.asked += 1


class Queue:
    """The jobs of a sweep. Those that are done already are not run again."""

    def __init__(self, jobs: Sequence[Job], devices: Devices, display: Display, grace: float) -> None:
        self.entries = [Entry(job, State.done if job.is_done() else State.waiting) for job in jobs]
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

    def _of(self, *states: State) -> list[Entry]:
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

    def _stop(self, stop: Stop) -> None:
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
def _stop_signals() -> Iterator[Stop]:
    stop = Stop()
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
