"""The jobs of a sweep on the terminal: a live table; plain lines where there is no terminal."""

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
OTHER_LINES = 5  # of the terminal, beside rows and reasons: headings, the line below, the prompt
REASONS = 4  # of the jobs that failed last


@contextmanager
def shown(at_once: int) -> Iterator[Display]:
    """A display of jobs of which `at_once` run at a time, gone from the screen's foot at the end."""
    if not console.is_terminal:
        yield Lines()
        return
    with Live(console=console, auto_refresh=False, transient=False) as live:
        yield LiveTable(live, at_once)


class _Display:
    """What is the same with and without a terminal."""

    def stopping(self, running: int, grace: float) -> None:
        jobs = "1 job" if running == 1 else f"{running} jobs"
        console.print(f"Stopping {jobs}: {grace:g} s to write down what there is. Again: at once.")


class Lines(_Display):
    """One line when a job starts, ends or fails."""

    def changed(self, entry: JobStatus) -> None:
        if entry.state is State.running:
            gpus = f" on GPU {','.join(entry.place.gpus)}" if entry.place and entry.place.gpus else ""
            text = f"Started  {entry.job.name}{gpus}"
        else:
            error = entry.job.last_epoch().get("val/top1_error")
            outcome = {
                State.done: f"validation error {_percent(error)}",
                State.failed: entry.reason,
                State.stopped: "the same command runs it again",
            }[entry.state]
            word = entry.state.value.capitalize()
            text = f"{word:8} {entry.job.name} after {duration(entry.seconds or 0)}: {outcome}"
        console.print(text, markup=False)

    def refresh(self, entries: Sequence[JobStatus]) -> None:
        pass


class LiveTable(_Display):
    """All jobs, or as many as the terminal has room for."""

    def __init__(self, live: Live, at_once: int) -> None:
        self._live, self._at_once = live, at_once

    def changed(self, entry: JobStatus) -> None:
        pass  # the next refresh shows it

    def refresh(self, entries: Sequence[JobStatus]) -> None:
        failed = [entry for entry in entries if entry.state is State.failed][-REASONS:]
        reasons = [f"{entry.job.name}: {entry.reason}" for entry in failed]
        room = max(3, console.height - OTHER_LINES - len(reasons))
        table = Table(box=None, pad_edge=False)
        table.add_column("job", overflow="fold")
        for heading in ("state", "epoch", "val top-1", "time", "left"):
            table.add_column(heading, justify="right", no_wrap=True)
        for entry in prioritized(entries, room):
            table.add_row(*_cells(entry), style=STYLES[entry.state])
        lines = [Text(text, style="red", no_wrap=True, overflow="ellipsis") for text in reasons]
        self._live.update(Group(table, *lines, summary(entries, self._at_once)), refresh=True)


def prioritized(entries: Sequence[JobStatus], room: int) -> list[JobStatus]:
    """At most `room` of them, in their order: those that run or failed, then the last that ended."""
    ranks = {State.running: 0, State.failed: 1, State.stopped: 1, State.waiting: 2, State.done: 3}
    waiting_in_order = enumerate(entries)
    ranked = sorted(
        waiting_in_order,
        key=lambda item: (ranks[item[1].state], -item[0] if item[1].state is State.done else item[0]),
    )
    return [entry for _, entry in sorted(ranked[:room], key=lambda item: item[0])]


def summary(entries: Sequence[JobStatus], at_once: int) -> str:
    """1 running, 2 waiting, 3 done; and how long they may still take together."""
    counts = {state: sum(entry.state is state for entry in entries) for state in State}
    text = ", ".join(f"{count} {state.value}" for state, count in counts.items() if count)
    left = seconds_left(entries, at_once)
    return f"{text}; about {duration(left)} left" if left else text


def seconds_left(entries: Sequence[JobStatus], at_once: int) -> float | None:
    """From the epochs so far, and for those that wait from those that ran; None where nothing is known."""
    running = [_running_seconds_left(entry) for entry in entries if entry.state is State.running]
    waiting = sum(entry.state is State.waiting for entry in entries)
    if not running and not waiting:
        return None
    whole = [entry.seconds for entry in entries if entry.state is State.done and entry.seconds is not None]
    whole += [
        left + time.monotonic() - entry.began
        for entry in entries
        if entry.state is State.running and (left := _running_seconds_left(entry)) is not None
    ]
    if not whole:
        return None
    typical = sum(whole) / len(whole)
    work = [typical if left is None else left for left in running] + [typical] * waiting
    return max(sum(work) / at_once, *work)


def _running_seconds_left(entry: JobStatus) -> float | None:
    row = entry.job.last_epoch()
    if not row:
        return None
    epoch = int(row["epoch"])
    per_epoch = float(row["seconds"]) / epoch
    return per_epoch * max(0, entry.job.epochs - epoch)


def _cells(entry: JobStatus) -> list[str]:
    row = entry.job.last_epoch() if entry.state is not State.waiting else {}
    epoch = f"{row['epoch']}/{entry.job.epochs}" if row else ""
    error = _percent(row.get("val/top1_error")) if row else ""
    left = _running_seconds_left(entry) if entry.state is State.running else None
    seconds = time.monotonic() - entry.began if entry.state is State.running else entry.seconds
    known_before = entry.state is State.done and entry.seconds is None
    return [
        entry.job.name,
        "done before" if known_before else entry.state.value,
        epoch,
        error,
        "" if seconds is None else duration(seconds),
        "" if left is None else duration(left),
    ]


def _percent(error: str | None) -> str:
    return f"{float(error):.1f}%" if error else "-"
