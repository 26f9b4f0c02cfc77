"""Findings of the checks, and their report on the terminal."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from typing import TypeVar

from rich.console import Console
from rich.text import Text

from alexnet.errors import UserError


class Status(Enum):
    """How a finding stands; its value is the word that is shown."""

    ok = "ok"
    warning = "note"
    failed = "FAILED"


@dataclass(frozen=True)
class Finding:
    """One line of the report: what was seen, and where it is not well, what to do."""

    name: str
    status: Status
    seen: str
    advice: str = ""


def ok(name: str, seen: str) -> Finding:
    """All is well."""
    return Finding(name, Status.ok, seen)


def warning(name: str, seen: str, advice: str) -> Finding:
    """Training runs, but perhaps not as wanted."""
    return Finding(name, Status.warning, seen, advice)


def failed(name: str, seen: str, advice: str = "") -> Finding:
    """Training would not run, or not rightly. A `UserError`'s message holds its advice already."""
    return Finding(name, Status.failed, seen, advice)


Result = TypeVar("Result")

COLORS = {Status.ok: "green", Status.warning: "yellow", Status.failed: "bold red"}
INDENT = 21  # where what was seen begins


class Report:
    """One line a finding. A check that raises something becomes a red line, and the others go on."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.counts: Counter[Status] = Counter()

    @property
    def failed(self) -> bool:
        """Whether anything has failed so far."""
        return self.counts[Status.failed] > 0

    def check(self, name: str, check: Callable[[], Iterable[Finding]]) -> bool:
        """Show what a check finds, while it goes on. Whether none of it failed."""
        before = self.counts[Status.failed]
        with self._guarded(name):
            for finding in check():
                self.add(finding)
        return self.counts[Status.failed] == before

    def attempt(self, name: str, function: Callable[[], Result]) -> Result | None:
        """What other checks need; None, and a red line, where it cannot be had."""
        with self._guarded(name):
            return function()
        return None

    def add(self, finding: Finding) -> None:
        """Show one finding."""
        self.counts[finding.status] += 1
        line = Text.assemble(
            (f"{finding.status.value:8}", COLORS[finding.status]), f"{finding.name:13}", finding.seen
        )
        self.console.print(line)
        if finding.advice:
            self.console.print(Text(f"{'':{INDENT}}{finding.advice}"))

    def conclude(self) -> None:
        """Show the outcome in a line."""
        bad, notes, total = self.counts[Status.failed], self.counts[Status.warning], self.counts.total()
        if bad:
            self.console.print(Text(f"\n{bad} of {total} checks failed.", COLORS[Status.failed]))
            return
        told = f", with {notes} note{'s' if notes > 1 else ''}" if notes else ""
        self.console.print(Text(f"\nReady{told}.", COLORS[Status.ok]))

    @contextmanager
    def _guarded(self, name: str) -> Iterator[None]:
        try:
            with self.console.status(f"{name} ..."):
                yield
        except UserError as error:
            self.add(failed(name, str(error)))
        except Exception as error:  # whatever a broken machine makes a library raise
            self.add(failed(name, one_line(error), "Not expected here. The other checks go on."))


def one_line(error: BaseException) -> str:
    """An exception's type and the first line of its text."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
