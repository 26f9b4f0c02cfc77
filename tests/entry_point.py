"""The real train.py in the process of the tests: a process of its own would first load torch."""

import io
import os
import sys
from contextlib import redirect_stderr, redirect_stdout
from typing import NamedTuple
from unittest.mock import patch

from alexnet.runs.resume import FROM_FIRST_RANK
from conftest import PROJECT
from program_server import run_program


class ProgramOutput(NamedTuple):
    """The output of a start of the program, and its exit status."""

    status: int
    out: str
    err: str


def run_train(*arguments: str) -> ProgramOutput:
    """Run `python src/train.py ...` in one process, as a user would type it."""
    out, err = io.StringIO(), io.StringIO()
    argv = [str(PROJECT / "src/train.py"), *arguments]
    with redirect_stdout(out), redirect_stderr(err), patch.object(sys, "argv", argv), patch.dict(os.environ):
        os.environ.pop(FROM_FIRST_RANK, None)
        status = run_program(argv[0])
    return ProgramOutput(status, out.getvalue(), err.getvalue())


def refused(*arguments: str) -> str:
    """Return the one line with which train.py refuses such a command line, its only output on stderr."""
    done = run_train(*arguments)
    assert done.status == 1, done
    (line,) = done.err.splitlines()
    assert line.startswith("Error: "), line
    return line
