"""Ctrl-C and SIGTERM end a program in one line at any moment, also while it imports its libraries.

Entry points import this module before all others. Python would raise `KeyboardInterrupt` wherever it is,
which libraries that are being imported may swallow, or fail with something else. Here the handler itself ends
the process, unless the program can handle the exception. Work with something to save has its own handlers.
"""

import os
import signal
import sys
from types import FrameType

from alexnet.ranks import local_rank

IMPORTING = "<frozen importlib"  # begins the file name of Python's own functions that import a module

handles_interrupts = False  # whether the program is where it handles KeyboardInterrupt
_process = os.getpid()


def status_of(number: int) -> int:
    """Return the exit status of a program that a signal has ended, as a shell reports it."""
    return 128 + number


def report() -> None:
    """Print the line that says so, from the first process of the run on this machine."""
    if local_rank() == 0 and os.getpid() == _process:
        print("Interrupted.", file=sys.stderr, flush=True)


def _interrupt(number: int, frame: FrameType | None) -> None:
    if number == signal.SIGINT and handles_interrupts and not _is_importing(frame):
        raise KeyboardInterrupt
    try:
        sys.stdout.flush()
        report()
    except (OSError, RuntimeError, ValueError):
        pass  # nobody reads it, or the signal came in the middle of printing
    os._exit(status_of(number))


def _is_importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith(IMPORTING):
            return True
        frame = frame.f_back
    return False


def _set_handlers() -> None:
    # a process that works for the program imports it, too, and is to end without a word
    is_worker = not hasattr(sys.modules["__main__"], "__file__") and "multiprocessing" in str(sys.orig_argv)
    if "hydra" in sys.modules and not is_worker:
        return  # not the start of a program: a test, or a job in a process of submitit
    for number in (signal.SIGINT,) if is_worker else (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup stays nohup
            signal.signal(number, signal.SIG_DFL if is_worker else _interrupt)


_set_handlers()
