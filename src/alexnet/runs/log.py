"""What goes to the terminal, and what goes to train.log."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from alexnet.errors import UserError
from alexnet.terminal import console


class _TerminalHandler(logging.Handler):
    """Plain lines through rich's console, so that they go above a live progress bar."""

    def emit(self, record: logging.LogRecord) -> None:
        style = "yellow" if record.levelno == logging.WARNING else None
        encoding = console.encoding or "utf-8"  # what it cannot show, as in a file's name, is escaped
        shown = record.getMessage().encode(encoding, "backslashreplace").decode(encoding)
        console.print(shown, markup=False, style=style)


class _FileHandler(logging.FileHandler):
    """A log that cannot be written to, as on a full disk, is no reason to stop, or for a stack trace."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        pass


def log_to_terminal(quiet: bool) -> None:
    """This project's messages on the terminal; those of libraries stay in train.log."""
    root = logging.getLogger("alexnet")
    root.setLevel(logging.ERROR if quiet else logging.INFO)
    if not root.handlers:
        root.addHandler(_TerminalHandler())
    logging.captureWarnings(True)
    logging.getLogger("py.warnings").addHandler(logging.NullHandler())  # or they would go to stderr
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).handlers.clear()  # their own handler on the terminal
    # on the first compilation it tells of a CUDA toolkit beside no GPU
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)


@contextmanager
def log_to_file(path: Path) -> Iterator[None]:
    """All messages and warnings, with times, also to the file at `path`.

    Raises `UserError` where it cannot be opened.
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
