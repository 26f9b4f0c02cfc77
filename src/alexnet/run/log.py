"""What goes to the terminal, and what goes to train.log."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alexnet.progress import console


class _TerminalHandler(logging.Handler):
    """Plain lines through rich's console, so that they go above a live progress bar."""

    def emit(self, record: logging.LogRecord) -> None:
        style = "yellow" if record.levelno == logging.WARNING else None
        console.print(record.getMessage(), markup=False, style=style)


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


@contextmanager
def log_to_file(path: Path) -> Iterator[None]:
    """All messages and warnings, with times, also to the file at `path`."""
    handler = logging.FileHandler(path)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    try:
        yield
    finally:
        root.removeHandler(handler)
        handler.close()
