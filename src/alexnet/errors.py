"""Errors that a user can correct, and one-line explanations of other errors."""

from collections.abc import Iterable
from difflib import get_close_matches

NO_MEMORY = ("out of memory", "can't allocate memory", "not enough memory", "cannot allocate memory")


class UserError(Exception):
    """A mistake that the user can correct: what is wrong, where, and what to do, in one line.

    Entry points print it without a stack trace and exit with status 1. Anything else that
    escapes is a bug and keeps its stack trace.
    """


class DivergedError(UserError):
    """A run has diverged, or does not start to learn, as it would if the same command ran again."""

    OUTCOME = 100.0  # percent: the error that a search is told of it


class JobsFailedError(UserError):
    """Some jobs of a sweep have failed; the others are done."""


def suggest(given: str, choices: Iterable[str]) -> str:
    """Return " Did you mean X?" for the choice nearest to what was given, or "" if none is near."""
    nearest = get_close_matches(given, list(choices), n=1, cutoff=0.5)
    return f" Did you mean {nearest[0]}?" if nearest else ""


def first_line(error: BaseException | str) -> str:
    """Return the first line of an error's text that is not blank, or the type of an error without text."""
    lines = (line.strip() for line in str(error).splitlines())
    return next((line for line in lines if line), "" if isinstance(error, str) else type(error).__name__)


def lacks_memory(error: BaseException) -> bool:
    """Return whether an error, of this process or of torch, means that memory has run out."""
    text = str(error).lower()
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and any(words in text for words in NO_MEMORY)
    )


def explain_failure(error: BaseException) -> str | None:
    """Explain in one line what is wrong and what to do; None for what only a bug explains."""
    if lacks_memory(error):
        return (
            "Out of memory. Try a smaller data.batch_size or model.width, fewer data.workers,"
            " more devices (trainer.devices), trainer.precision=bf16-mixed on a GPU."
        )
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror}."
    return None
