"""Display of a sweep's jobs: a live table on a terminal, plain lines elsewhere."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from alexnet.sweeps.queue import Display, JobStatus, State
from alexnet.terminal import console, duration

STYLES = {
    State.waiting: "dim",
    State.running: "cyan",
    State.done: "green",
    State.failed: "red",
    State.stopped: "yellow",
}
OTHER_LINES = 5  # of the terminal, beside rows and reasons: headings, the summary, the prompt
REASONS = 4  # how many failures are explained, the last ones


@contextmanager
def live_display(*, transient: bool = False) -> Iterator[Display]:
    """Yield a display of jobs. It stops being updated at the end; a table that is `transient` vanishes."""
    if not console.is_terminal:
        yield Lines()
        return
    with Live(console=console, auto_refresh=False, transient=transient) as live:
        yield LiveTable(live)


class _Display:
    """Messages that are the same with and without a terminal."""

    def short_of_space(self, jobs: int, each: int, free: int) -> None:
        still_to_run = "job still to run needs" if jobs == 1 else f"{jobs} jobs still to run need"
        console.print(
            f"Disk     the {still_to_run} about {jobs * each / 1e9:.1f} GB; {free / 1e9:.1f} GB are free."
            " Free some space, or stop and leave out the checkpoints: add callbacks.checkpoint.last=false"
            " callbacks.checkpoint.best=false to the command",
            style="yellow",
            markup=False,
            soft_wrap=True,
        )

    def stopping(self, running: int, grace: float) -> None:
        jobs = "1 job" if running == 1 else f"{running} jobs"
        console.print(
            f"Stopping {jobs}: {grace:g} s to write their results. Interrupt again to kill them at once."
        )


class Lines(_Display):
    """One line for each job that starts, ends or fails."""

    def changed(self, status: JobStatus) -> None:
        if status.state is State.running:
            gpus = f" on GPU {','.join(status.slot.gpus)}" if status.slot and status.slot.gpus else ""
            text = f"Started  {status.job.name}{gpus}"
        else:
            outcome = {
                State.done: _outcome(status),
                State.failed: status.reason,
                State.stopped: "the same command runs it again",
            }[status.state]
            word = status.state.value.capitalize()
            text = f"{word:8} {status.job.name} after {duration(status.seconds or 0)}: {outcome}"
        console.print(text, markup=False)

    def refresh(self, statuses: Sequence[JobStatus], at_once: int) -> None:
        pass


class LiveTable(_Display):
    """Table of all jobs, or of as many as the terminal has room for."""

    def __init__(self, live: Live) -> None:
        self._live = live

    def changed(self, status: JobStatus) -> None:
        pass  # the next refresh shows it

    def refresh(self, statuses: Sequence[JobStatus], at_once: int) -> None:
        failed = [status for status in statuses if status.state is State.failed][-REASONS:]
        reasons = [f"{status.job.name}: {status.reason}" for status in failed]
        room = max(3, console.height - OTHER_LINES - len(reasons))
        table = Table(box=None, pad_edge=False)
        table.add_column("job", overflow="fold")
        for heading in ("state", "epoch", "val top-1", "time", "left"):
            table.add_column(heading, justify="right", no_wrap=True)
        for status in prioritized(statuses, room):
            table.add_row(*_cells(status), style=STYLES[status.state])
        lines = [Text(text, style="red", no_wrap=True, overflow="ellipsis") for text in reasons]
        self._live.update(Group(table, *lines, summary(statuses, at_once)), refresh=True)


def prioritized(statuses: Sequence[JobStatus], room: int) -> list[JobStatus]:
    """Return at most `room` jobs, in their order: the running, failed, next waiting and last done ones."""
    priorities = {State.running: 0, State.failed: 1, State.stopped: 1, State.waiting: 2, State.done: 3}

    def priority(index: int) -> tuple[int, int]:
        state = statuses[index].state
        return priorities[state], -index if state is State.done else index

    return [statuses[index] for index in sorted(sorted(range(len(statuses)), key=priority)[:room])]


def summary(statuses: Sequence[JobStatus], at_once: int) -> str:
    """Return a line such as "2 waiting, 1 running, 3 done; about 2:30 left"."""
    counts = {state: sum(status.state is state for status in statuses) for state in State}
    text = ", ".join(f"{count} {state.value}" for state, count in counts.items() if count)
    left = seconds_left(statuses, at_once)
    return f"{text}; about {duration(left)} left" if left else text


def seconds_left(statuses: Sequence[JobStatus], at_once: int) -> float | None:
    """Estimate the seconds that all jobs together still take; None if nothing is known yet.

    Running jobs are extrapolated from their epochs, waiting ones from the jobs that have run.
    """
    running = [_running_seconds_left(status) for status in statuses if status.state is State.running]
    waiting = sum(status.state is State.waiting for status in statuses)
    if not running and not waiting:
        return None
    totals = [
        status.seconds for status in statuses if status.state is State.done and status.seconds is not None
    ]
    totals += [
        left + time.monotonic() - status.began
        for status in statuses
        if status.state is State.running and (left := _running_seconds_left(status)) is not None
    ]
    if not totals:
        return None
    average = sum(totals) / len(totals)
    remaining = [average if left is None else left for left in running] + [average] * waiting
    return max(sum(remaining) / at_once, *remaining)


def _running_seconds_left(status: JobStatus) -> float | None:
    row = status.job.last_epoch()
    if not row:
        return None
    epoch = int(row["epoch"])
    per_epoch = float(row["seconds"]) / epoch
    return per_epoch * max(0, status.job.epochs - epoch)


def _cells(status: JobStatus) -> list[str]:
    row = status.job.last_epoch() if status.state is not State.waiting else {}
    epoch = f"{row['epoch']}/{status.job.epochs}" if row else ""
    error = _percent(row.get("val/top1_error")) if row else ""
    left = _running_seconds_left(status) if status.state is State.running else None
    seconds = time.monotonic() - status.began if status.state is State.running else status.seconds
    state = "diverged" if status.state is State.done and status.job.diverged() else status.state.value
    return [
        status.job.name,
        f"{state} before" if status.state is State.done and status.seconds is None else state,
        epoch,
        error,
        "" if seconds is None else duration(seconds),
        "" if left is None else duration(left),
    ]


def _outcome(status: JobStatus) -> str:
    if status.job.diverged():
        return "diverged"
    return f"validation error {_percent(status.job.last_epoch().get('val/top1_error'))}"


def _percent(error: str | None) -> str:
    return f"{float(error):.1f}%" if error else "-"
