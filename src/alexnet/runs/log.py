"""Logging to the terminal and to train.log."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from alexnet.errors import UserError
from alexnet.terminal import console


class _TerminalHandler(logging.Handler):
    """Print plain lines through rich's console, above a live progress bar."""

    def emit(self, record: logging.LogRecord) -> None:
        style = "yellow" if record.levelno == logging.WARNING else None
        encoding = console.encoding or "utf-8"  # characters outside it, as in a file's name, are escaped
        line = record.getMessage().encode(encoding, "backslashreplace").decode(encoding)
        console.print(line, markup=False, style=style)


class _FileHandler(logging.FileHandler):
    """Ignore errors of writing, as on a full disk: they are no reason to stop, or for a stack trace."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        pass


def log_to_terminal(quiet: bool) -> None:
    """Show this project's messages on the terminal; those of libraries go to train.log alone."""
    root = logging.getLogger("alexnet")
    root.setLevel(logging.ERROR if quiet else logging.INFO)
    if not root.handlers:
        root.addHandler(_TerminalHandler())
    logging.captureWarnings(True)
    logging.getLogger("py.warnings").addHandler(logging.NullHandler())  # or they would go to stderr
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).handlers.clear()  # their own handler on the terminal
    # on the first compilation it warns of a CUDA toolkit without a GPU
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)


@contextmanager
def log_to_file(path: Path) -> Iterator[None]:
    """Write all messages and warnings, with times, to the file at `path`, too.

    Raises `UserError` if it cannot be opened.
    """
    try:
        handler = _FileHandler(path, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise UserError(f"Cannot write {path}: {error.strerror}.") from error
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    try:
        yield
    finally:
        root.removeHandler(handler)
        with suppress(OSError):  # the last lines, which a full disk does not take
            handler.close()
