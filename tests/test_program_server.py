"""Programs that are forks of the server end as those in processes of their own."""

import os
import subprocess
from pathlib import Path

import pytest

from program_server import ProgramServer

PROGRAM = """
import os, sys, helper
loaded = "torch" in sys.modules
print(sys.argv[1:], os.environ.get("ONLY"), os.getcwd(), sys.stdin.read(), helper.NAME, loaded)
print("problem", file=sys.stderr)
{end}
"""


@pytest.mark.parametrize(
    ("end", "status", "problem"),
    [
        ("", 0, "problem\n"),
        ("sys.exit(3)", 3, "problem\n"),
        ("sys.exit('Error: one line.')", 1, "problem\nError: one line.\n"),
        ("import signal; sys.stderr.flush(); os.kill(os.getpid(), signal.SIGTERM)", -15, "problem\n"),
    ],
)
def test_ends_as_in_a_process_of_its_own(
    program_server: ProgramServer, tmp_path: Path, end: str, status: int, problem: str
) -> None:
    program = write(tmp_path, PROGRAM.format(end=end))
    ended = program_server.run([program, "a b", "c"], tmp_path, {"ONLY": "this"}, 60)
    assert (ended.status, ended.err) == (status, problem)
    if status >= 0:
        assert ended.out == f"['a b', 'c'] this {tmp_path}  beside True\n"


def test_what_is_left_to_do_is_done(program_server: ProgramServer, tmp_path: Path) -> None:
    """Other threads end, exit handlers run, and what is buffered is written."""
    code = (
        "import atexit, threading, time\n"
        "atexit.register(print, 'handler')\n"
        "threading.Thread(target=lambda: (time.sleep(0.2), print('thread'))).start()\n"
    )
    ended = program_server.run([write(tmp_path, code)], tmp_path, dict(os.environ), 60)
    assert (ended.status, ended.out, ended.err) == (0, "thread\nhandler\n", "")


def test_modules_on_pythonpath_are_found(program_server: ProgramServer, tmp_path: Path) -> None:
    """After those beside the program, before those that are installed."""
    for name in ("helper", "sklearn"):
        (tmp_path / "first").mkdir(exist_ok=True)
        (tmp_path / f"first/{name}.py").write_text("NAME = 'first'\n")
    program = write(tmp_path, "import helper, sklearn; print(helper.NAME, sklearn.NAME)")
    environment = {"PYTHONPATH": f"{tmp_path / 'first'}{os.pathsep}/none"}
    assert program_server.run([program], tmp_path, environment, 60).out == "beside first\n"


def test_a_stack_trace(program_server: ProgramServer, tmp_path: Path) -> None:
    ended = program_server.run([write(tmp_path, "1 / 0")], tmp_path, dict(os.environ), 60)
    assert ended.status == 1
    assert "Traceback" in ended.err
    assert "ZeroDivisionError" in ended.err


def test_is_killed_after_its_time(program_server: ProgramServer, tmp_path: Path) -> None:
    program = write(tmp_path, "import time; print('begun', flush=True); time.sleep(600)")
    with pytest.raises(subprocess.TimeoutExpired) as late:
        program_server.run([program], tmp_path, dict(os.environ), 1)
    assert late.value.output == "begun\n"


def write(folder: Path, code: str) -> str:
    """Write a program, and a module beside it."""
    (folder / "helper.py").write_text("NAME = 'beside'\n")
    (folder / "program.py").write_text(code)
    return str(folder / "program.py")
