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
        encoding = console.encoding or "utf-8"  # characters outside it, as in file names, are escaped
        line = record.getMessage().encode(encoding, "backslashreplace").decode(encoding)
        console.print(line, markup=False, style=style)


class _FileHandler(logging.FileHandler):
    """Ignore write errors, as on a full disk: they neither stop the run nor print stack traces."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        pass


def log_to_terminal(quiet: bool) -> None:
    """Show this project's messages on the terminal; those of libraries go only to train.log."""
    root = logging.getLogger("alexnet")
    root.setLevel(logging.ERROR if quiet else logging.INFO)
    if not root.handlers:
        root.addHandler(_TerminalHandler())
    logging.captureWarnings(True)
    logging.getLogger("py.warnings").addHandler(logging.NullHandler())  # else they go to stderr
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).handlers.clear()  # these print to the terminal
    # on the first compilation it warns of a CUDA toolkit without a GPU
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)


@contextmanager
def log_to_file(path: Path) -> Iterator[None]:
    """Also write all messages and warnings, with times, to the file at `path`.

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
        with suppress(OSError):  # on a full disk the last lines cannot be written
            handler.close()
