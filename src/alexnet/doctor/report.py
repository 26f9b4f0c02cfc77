"""Findings of the checks, and their report on the terminal."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from typing import TypeVar

from rich.console import Console
from rich.text import Text

from alexnet.errors import UserError, first_line


class Status(Enum):
    """Outcome of a check; its value is the word that is shown."""

    ok = "ok"
    warning = "note"
    failed = "FAILED"


@dataclass(frozen=True)
class Finding:
    """One line of the report: the result of a check and, if it is not good, what to do."""

    name: str
    status: Status
    message: str
    advice: str = ""


def ok(name: str, message: str) -> Finding:
    """Return a finding without a problem."""
    return Finding(name, Status.ok, message)


def warning(name: str, message: str, advice: str) -> Finding:
    """Return a finding with which training runs, but perhaps not as intended."""
    return Finding(name, Status.warning, message, advice)


def failed(name: str, message: str, advice: str = "") -> Finding:
    """Return a finding that would prevent training, or make it wrong.

    The message of a `UserError` includes its advice.
    """
    return Finding(name, Status.failed, message, advice)


Result = TypeVar("Result")

COLORS = {Status.ok: "green", Status.warning: "yellow", Status.failed: "bold red"}
INDENT = 21  # columns before the message


class Report:
    """Report of one line a finding. A check that raises becomes a red line, and the others continue."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.counts: Counter[Status] = Counter()

    @property
    def failed(self) -> bool:
        """Whether a check has failed so far."""
        return self.counts[Status.failed] > 0

    def check(self, name: str, check: Callable[[], Iterable[Finding]]) -> bool:
        """Run a check and show each finding as it comes; return whether none of them failed."""
        before = self.counts[Status.failed]
        with self._report_errors(name):
            for finding in check():
                self.add(finding)
        return self.counts[Status.failed] == before

    def attempt(self, name: str, function: Callable[[], Result]) -> Result | None:
        """Return what other checks need, or None, with a red line, if it is not available."""
        with self._report_errors(name):
            return function()
        return None

    def add(self, finding: Finding) -> None:
        """Show one finding."""
        self.counts[finding.status] += 1
        line = Text.assemble(
            (f"{finding.status.value:8}", COLORS[finding.status]), f"{finding.name:13}", finding.message
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
        mention = f", with {notes} note{'s' if notes > 1 else ''}" if notes else ""
        self.console.print(Text(f"\nReady{mention}.", COLORS[Status.ok]))

    @contextmanager
    def _report_errors(self, name: str) -> Iterator[None]:
        try:
            with self.console.status(f"{name} ..."):
                yield
        except UserError as error:
            self.add(failed(name, str(error)))
        except Exception as error:  # whatever a library raises on a broken machine
            self.add(failed(name, describe_error(error), "This is unexpected. The other checks continue."))


def describe_error(error: BaseException) -> str:
    """Return an exception's type and the first line of its text."""
    line, kind = first_line(error), type(error).__name__
    return kind if line == kind else f"{kind}: {line}"
