"""The process that started this one: a process that works for another ends with it.

The jobs of a sweep have a supervisor for this, which ends all that they have started: sweeps/supervisor.py.
"""

import os
import time
from collections.abc import Callable
from multiprocessing import parent_process
from threading import Thread

STARTER = "ALEXNET_STARTER"  # the process that has Lightning start the others on its machine
POLL_SECONDS = 0.5


def exit_with_parent() -> None:
    """From now on, end this process once the one that started it by multiprocessing has ended.

    However that came about: a killed process closes its end of a pipe, too. Linux's PR_SET_PDEATHSIG would
    end it with the thread that started it, or with a fork server.
    """
    parent = parent_process()
    assert parent is not None
    _exit_after(parent.join)


def exit_with_starter(grace_seconds: float) -> None:
    """Do the same in a rank that Lightning has started; nothing in the process that had it started.

    The rank has `grace_seconds` to end by itself, and to say why.
    """
    given = os.environ.get(STARTER, "")
    starter = int(given) if given.isdecimal() else os.getpid()
    if starter == os.getpid():
        return

    def wait() -> None:
        while os.getppid() == starter:
            time.sleep(POLL_SECONDS)
        time.sleep(grace_seconds)

    _exit_after(wait)


def forget_starter() -> None:
    """Remove the name of a starter from the environment of a process that has none: it is left over."""
    os.environ.pop(STARTER, None)


def _exit_after(wait: Callable[[], object]) -> None:
    def end() -> None:
        wait()
        os._exit(1)

    Thread(target=end, daemon=True).start()
