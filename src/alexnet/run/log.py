"""What goes to the terminal, and what goes to train.log."""

import logging
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


def log_to_file(path: Path) -> logging.Handler:
    """All messages and warnings, with times. The caller removes the handler from the root logger."""
    handler = logging.FileHandler(path)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    return handler
