"""No process is left behind by a program that is stopped or killed."""

import random
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from conftest import PROJECT, wait_for
from survivors import ARGUMENTS, Program, Way, prepare, program_of

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")

# a process that measures for benchmark.py, without torch, which takes seconds to load
MEASURING = """
import time
from pathlib import Path

from alexnet.benchmark import processes

def measure():
    Path("working").touch()
    time.sleep(60)

if __name__ == "__main__":
    processes.PRELOADED.clear()
    with processes.new_processes() as run:
        run(measure)
"""
# the second of two processes of a run, which reads images while the first already waits for it
READING = """
import os
import subprocess
import sys
import time
from pathlib import Path

from alexnet.parent import STARTER, exit_with_starter

if STARTER in os.environ:
    exit_with_starter(0)
    Path("working").touch()
    time.sleep(60)
else:
    subprocess.run([sys.executable, __file__], env=os.environ | {STARTER: str(os.getpid())})
"""
# a process of doctor.py that waits, where no Python code runs, for another that has ended
ADDING_UP = """
import socket
from pathlib import Path

from torch.multiprocessing.spawn import start_processes

from alexnet.doctor.worker import all_reduce_worker

if __name__ == "__main__":
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    context = start_processes(all_reduce_worker, (2, "gloo", address, Path()), 1, join=False)
    while not Path("0.log").exists():
        pass
    Path("working").touch()
    context.join()
"""


def slow(program: str, way: Way) -> object:
    return pytest.param(program, way, marks=pytest.mark.slow)


@pytest.mark.parametrize(
    ("program", "way"),
    [
        (MEASURING, Way.sigkill),
        (MEASURING, Way.sigint),
        slow(MEASURING, Way.sigterm),
        slow(MEASURING, Way.ctrl_c),
        (READING, Way.sigkill),
        slow(READING, Way.sigterm),
        slow(ADDING_UP, Way.sigkill),
        slow(ADDING_UP, Way.sigterm),
    ],
)
def test_a_process_at_work(tmp_path: Path, program: str, way: Way) -> None:
    """It ends with the one that has started it, whatever it is doing."""
    (tmp_path / "program.py").write_text(program)
    started = Program(["program.py"], tmp_path, {"PYTHONPATH": str(PROJECT / "src")})
    wait_for((tmp_path / "working").exists)
    assert len(started.running()) > 1
    assert started.end(way).processes == []


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return prepare(tmp_path_factory.mktemp("made"))


@pytest.mark.slow
@pytest.mark.parametrize("way", list(Way))
@pytest.mark.parametrize("name", ARGUMENTS)
def test_every_program(tmp_path: Path, made: dict[str, Path], name: str, way: Way) -> None:
    """At a random moment of the first half minute; more of them: python tests/survivors.py"""
    started = program_of(name, tmp_path / "own", made)
    with suppress(subprocess.TimeoutExpired):
        started.process.wait(random.uniform(0, 30))
    left = started.end(way)
    assert left.processes == [], left.output
