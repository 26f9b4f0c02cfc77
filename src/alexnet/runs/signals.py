"""Graceful shutdown: on a signal, or when a time budget is used up."""

import logging
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

log = logging.getLogger(__name__)


class InterruptionError(Exception):
    """The run was asked to stop and has saved where it is. The text says who asked."""


class GracefulShutdown:
    """Whether somebody, or the clock, has asked this process to stop.

    SIGTERM (kill, a sweep, Slurm at its time limit), SIGINT (Ctrl-C) and SIGUSR1 (Slurm's warning, which
    asks for the job to be put into the queue again). `seconds` is the time budget of this start.
    """

    SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)

    def __init__(self, seconds: float | None) -> None:
        self.seconds = seconds
        self.requeue = False
        self._began = time.monotonic()
        self._asked: str | None = None

    def requested(self) -> str | None:
        """Who asked; None as long as nobody has."""
        over = self.seconds is not None and time.monotonic() - self._began > self.seconds
        if over and self._asked is None:
            self._asked = "trainer.max_time is over"
        return self._asked

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Take note of signals in the place of dying of them. A second Ctrl-C does not wait for the step."""
        before = {number: signal.getsignal(number) for number in self.SIGNALS}
        self.install()
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def install(self) -> None:
        """Once more, after Lightning has set handlers of its own, which would not save."""
        for number in self.SIGNALS:
            signal.signal(number, self._take_note)

    def _take_note(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT and self._asked is not None:
            raise KeyboardInterrupt
        self.requeue = self.requeue or number == signal.SIGUSR1
        self._asked = self._asked or f"stopped by {signal.Signals(number).name}"


@contextmanager
def interrupt_on_signals() -> Iterator[None]:
    """Raise `InterruptionError` in the main thread at once, for work that has nothing to save first."""

    def end(number: int, frame: FrameType | None) -> None:
        raise InterruptionError(f"stopped by {signal.Signals(number).name}")

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def parse_max_time(max_time: str | None) -> float | None:
    """Seconds of days:hours:minutes:seconds, which `TrainerConfig` has checked."""
    if max_time is None:
        return None
    days, hours, minutes, seconds = map(int, max_time.split(":"))
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


def requeue() -> None:
    """Have Slurm start the job again: the same command then goes on with this run."""
    job = os.environ.get("SLURM_JOB_ID")
    if job is None:
        return
    try:
        subprocess.run(["scontrol", "requeue", job], check=True, capture_output=True, timeout=60)
        log.info(f"Slurm starts job {job} again.")
    except (OSError, subprocess.SubprocessError) as problem:
        log.warning(f"Slurm does not start job {job} again: {problem}")
