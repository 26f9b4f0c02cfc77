"""Starts Python programs as forks of one process that has loaded torch and Lightning: that takes seconds.

A program finds what it would find in a process of its own: arguments, environment, folder and streams. Only
what Python and the packages read from the environment as they are loaded is the server's, PYTHONPATH apart.

Requests and answers are lines of JSON on the server's standard input and output.
"""

import atexit
import gc
import json
import os
import runpy
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

PRELOADED = (
    "torch",
    "lightning.pytorch",
    "torchvision",
    "torchmetrics",
    "hydra",
    "matplotlib.figure",
    "scipy.stats",
)


class Ended(NamedTuple):
    """How a program has ended; the status is negative for the signal that has ended it."""

    status: int
    out: str
    err: str


class ProgramServer:
    """The tests' end: starts the server with the first program."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def run(self, command: Sequence[str], folder: Path, environment: dict[str, str], timeout: int) -> Ended:
        """Run a program in `folder`; raises `subprocess.TimeoutExpired` after so many seconds."""
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
        streams = [folder / name for name in (".stdout", ".stderr")]
        request = {"command": [str(part) for part in command], "folder": str(folder), "timeout": timeout}
        request |= {"environment": environment, "streams": [str(path) for path in streams]}
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        status = json.loads(self._process.stdout.readline())
        out, err = (path.read_text() for path in streams)
        for path in streams:
            path.unlink()
        if status is None:
            raise subprocess.TimeoutExpired(command, timeout, out, err)
        return Ended(status, out, err)

    def close(self) -> None:
        """End the server."""
        if self._process is not None:
            self._process.communicate()


def _serve() -> None:
    """Answer requests. In the fork of a request, run its program instead."""
    for name in PRELOADED:
        __import__(name)
    gc.freeze()  # a fork that looked for garbage among all this would take a second more
    while line := sys.stdin.readline():
        request = json.loads(line)
        if (child := os.fork()) == 0:
            _become(request)
        print(json.dumps(_wait(child, request["timeout"])), flush=True)
    os._exit(0)  # what is frozen would be reported as leaked


def run_program(program: str) -> int:
    """Run a program as `__main__` in this process, with the arguments in sys.argv; return its exit status."""
    try:
        runpy.run_path(program, run_name="__main__")
    except SystemExit as ended:
        if ended.code is None or isinstance(ended.code, int):
            return ended.code or 0
        print(ended.code, file=sys.stderr)
        return 1
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def _become(request: dict[str, Any]) -> NoReturn:
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["folder"])
    for path, descriptor in zip((os.devnull, *request["streams"]), range(3), strict=True):
        opened = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        os.dup2(opened, descriptor)
        os.close(opened)
    given = os.environ.get("PYTHONPATH")
    sys.path[:1] = [str(Path(request["command"][0]).parent), *(given.split(os.pathsep) if given else ())]
    sys.argv[:] = request["command"]
    status = run_program(sys.argv[0])
    # as Python ends, but for taking all modules apart, which takes as long as a small program does
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _wait(child: int, timeout: int) -> int | None:
    """Return the exit status of a child; None for one that has been killed after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while (ended := os.waitpid(child, os.WNOHANG)) == (0, 0):
        if time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return None
        time.sleep(0.01)
    return os.waitstatus_to_exitcode(ended[1])


if __name__ == "__main__":
    _serve()
