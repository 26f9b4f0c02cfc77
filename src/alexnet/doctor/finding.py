"""What a check found."""

from dataclasses import dataclass
from enum import Enum


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
