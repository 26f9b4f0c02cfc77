"""Terminal output, from rank 0 only: console, tables, progress bars, durations and sizes as text."""

import codecs
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import TextIOWrapper

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from alexnet.ranks import process_rank

REPLACE = "alexnet_replace"  # an error handler of codecs
WIDE = 200  # columns of what is not a terminal: a file, a pipe
console = Console(highlight=False, soft_wrap=True, quiet=process_rank() > 0)


def tolerate_encoding() -> None:
    """Let stdout replace the characters that its encoding does not have, instead of raising an error."""
    codecs.register_error(REPLACE, _replace)
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors=REPLACE)


def _replace(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    missing = error.object[error.start : error.end].replace("±", "+-")
    return missing.encode("ascii", "replace").decode("ascii"), error.end


def live_progress(period: float = 30.0) -> Progress:
    """Return a progress bar with count and remaining time, removed when done; hidden without a terminal.

    The remaining time is estimated from the last `period` seconds, which should span several updates.
    """
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    hidden = not console.is_terminal
    return Progress(*columns, console=console, transient=True, disable=hidden, speed_estimate_period=period)


def print_table(table: Table) -> None:
    """Print a table; without a terminal, wide enough for every cell."""
    wide = console if console.is_terminal else Console(width=WIDE, highlight=False, quiet=console.quiet)
    wide.print(table, soft_wrap=False)


@contextmanager
def progress_bar(
    description: str, total: int, done: int = 0, *, period: float = 30.0
) -> Iterator[Callable[[int], None]]:
    """Show how many of `total` are done and the remaining time; yield a function that adds to the count.

    `done` is the count to start from; `period` is that of `live_progress`.
    """
    if not console.is_terminal:
        console.print(f"{description} ({total:,})")
    with live_progress(period) as progress:
        task = progress.add_task(description, total=total, completed=done)
        yield lambda count: progress.advance(task, count)


def duration(seconds: float) -> str:
    """Format seconds as hours, minutes and seconds: 1:02:03 or 2:03."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, in the plural where it is not one: 1 epoch, 20 epochs."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def format_speed(images_per_second: float) -> str:
    """Format a speed with three digits or more, never as a power of ten: 17.8, 620, 1,173."""
    return f"{images_per_second:,.0f}" if images_per_second >= 100 else f"{images_per_second:.3g}"


def format_bytes(count: float) -> str:
    """Format a number of bytes: 16 bytes, 86.5 kB, 117.2 MB."""
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:,.1f} {unit}"
    return f"{count:.0f} bytes"
