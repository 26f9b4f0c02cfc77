"""Graceful shutdown: on a signal, or at the end of the time budget."""

import logging
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

log = logging.getLogger(__name__)


class InterruptionError(BaseException):
    """The run was asked to stop; the text says by what.

    Like KeyboardInterrupt not an `Exception`, which decoders of damaged files catch.
    """


class GracefulShutdown:
    """Track whether a signal or the time budget has requested that this process stop.

    The signals are SIGTERM (kill, a sweep, Slurm at its time limit), SIGINT (Ctrl-C) and SIGUSR1 (Slurm's
    warning, after which the job is requeued). `seconds` is the time budget of this start, from `began` on, by
    time.monotonic.
    """

    SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)

    def __init__(self, seconds: float | None, began: float) -> None:
        self.seconds = seconds
        self.requeue = False
        self._began = began
        self._reason: str | None = None

    def requested(self, *, timed: bool = True) -> str | None:
        """Return why the process is to stop; None if it is not. Without `timed`, only signals count."""
        over = timed and self.seconds is not None and time.monotonic() - self._began > self.seconds
        if over and self._reason is None:
            self._reason = "trainer.max_time has elapsed"
        return self._reason

    @contextmanager
    def handling(self) -> Iterator[None]:
        """Record signals instead of being killed. A second Ctrl-C does not wait for the step to end."""
        before = {number: signal.getsignal(number) for number in self.SIGNALS}
        self.set_handlers()
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def set_handlers(self) -> None:
        """Set the handlers; to be called again after Lightning has set its own, which would not save."""
        for number in self.SIGNALS:
            signal.signal(number, self._handle)

    def request(self, number: int) -> str:
        """Record a signal; return why the process is to stop."""
        self.requeue = self.requeue or number == signal.SIGUSR1
        self._reason = self._reason or f"stopped by {signal.Signals(number).name}"
        return self._reason

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT and self._reason is not None:
            raise KeyboardInterrupt
        self.request(number)


@contextmanager
def interrupt_on_signals() -> Iterator[None]:
    """Raise `InterruptionError` in the main thread at once, for work without state to save."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise InterruptionError(f"stopped by {signal.Signals(number).name}")

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def parse_max_time(max_time: str | None) -> float | None:
    """Return the seconds of days:hours:minutes:seconds, which `TrainerConfig` has checked."""
    if max_time is None:
        return None
    days, hours, minutes, seconds = map(int, max_time.split(":"))
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


def requeue() -> None:
    """Have Slurm requeue the job: the same command then resumes this run."""
    job = os.environ.get("SLURM_JOB_ID")
    if job is None:
        return
    try:
        subprocess.run(["scontrol", "requeue", job], check=True, capture_output=True, timeout=60)
        log.info(f"Slurm has requeued job {job}.")
    except (OSError, subprocess.SubprocessError) as problem:
        log.warning(f"Slurm could not requeue job {job}: {problem}")
