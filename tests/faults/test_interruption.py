"""Ctrl-C and SIGTERM in the first seconds of a program end it in one line, whatever it is importing."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from alexnet.paths import PROGRAMS
from conftest import PROJECT

ALL = sorted(path.stem for path in PROGRAMS.glob("*.py"))
# sends a signal to the process as it begins to import a module, and swallows what is raised
SENDER = """
import os, sys

class Sender:
    def find_spec(self, name, path=None, target=None):
        if name == os.environ["AT"]:
            sys.meta_path.remove(self)
            os.kill(os.getpid(), int(os.environ["NUMBER"]))
            try:
                for _ in range(1000):  # the handler runs in here
                    pass
            except BaseException:  # as in some libraries
                pass

sys.meta_path.insert(0, Sender())
"""
# the first library; Hydra; the terminal; a plugin that Hydra has found
EARLY = ("omegaconf", "hydra", "rich.console", "alexnet.sweeps.naming")


def interrupted(
    folder: Path, program: str, number: signal.Signals, module: str, *arguments: str
) -> tuple[int, str, str]:
    """Exit status and output of a program that gets a signal as it imports a module."""
    (folder / "sitecustomize.py").write_text(SENDER)
    own = {"AT": module, "NUMBER": str(int(number)), "HOME": str(folder), "PYTHONPATH": str(folder)}
    done = subprocess.run(
        [sys.executable, program, *arguments],
        cwd=folder,
        env=os.environ | own,
        capture_output=True,
        text=True,
        timeout=240,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    return done.returncode, done.stdout, done.stderr


def path(program: str) -> str:
    return str(PROJECT / f"src/{program}.py")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("module", EARLY)
def test_while_libraries_are_imported(tmp_path: Path, module: str, number: signal.Signals) -> None:
    done = interrupted(tmp_path, path("train"), number, module)
    assert done == (128 + number, "", "Interrupted.\n")


@pytest.mark.parametrize("program", ALL)
def test_every_program(tmp_path: Path, program: str) -> None:
    done = interrupted(tmp_path, path(program), signal.SIGINT, "omegaconf")
    assert done == (130, "", "Interrupted.\n")


@pytest.mark.parametrize("module", ["ast", "omegaconf"])
def test_the_installed_command(tmp_path: Path, module: str) -> None:
    command = (
        f"import sys; sys.path.append({str(PROJECT / 'src')!r})\nfrom alexnet.command import main\nmain()"
    )
    (tmp_path / "alexnet.py").write_text(command)
    (tmp_path / "alexnet.py").rename(tmp_path / "command")
    done = interrupted(tmp_path, str(tmp_path / "command"), signal.SIGINT, module, "train")
    assert done == (130, "", "Interrupted.\n")


@pytest.mark.parametrize("module", ["torch", "lightning"])
def test_while_the_work_is_imported(tmp_path: Path, module: str) -> None:
    done = interrupted(tmp_path, path("train"), signal.SIGINT, module, "trainer.accelerator=cpu")
    assert done == (130, "", "Interrupted.\n")


def test_further_ranks_say_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert interrupted(tmp_path, path("train"), signal.SIGINT, "omegaconf") == (130, "", "")


def test_help_that_has_begun(tmp_path: Path) -> None:
    """Here Hydra is at work: KeyboardInterrupt is raised, and ends the program in the same way."""
    (tmp_path / "sitecustomize.py").write_text(
        "import os, signal, sys\n"
        "def profile(frame, event, argument):\n"
        "    if frame.f_code.co_name == 'compose_config':\n"
        "        sys.setprofile(None)\n"
        "        os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.setprofile(profile)\n"
    )
    done = subprocess.run(
        [sys.executable, path("train"), "--cfg", "job"],
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "Interrupted.\n")


@pytest.mark.parametrize("where", ["spawn", "forkserver"])
def test_processes_of_multiprocessing_say_nothing(tmp_path: Path, where: str) -> None:
    """They import the program, too; Ctrl-C in a terminal reaches them."""
    (tmp_path / "program.py").write_text(
        "import alexnet.interruption\n"
        "import multiprocessing, os, signal\n"
        "def work():\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "if __name__ == '__main__':\n"
        f"    worker = multiprocessing.get_context({where!r}).Process(target=work)\n"
        "    worker.start()\n"
        "    worker.join()\n"
        "    print(worker.exitcode)\n"
    )
    done = subprocess.run(
        [sys.executable, "program.py"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(PROJECT / "src")},
        capture_output=True,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # a shell's & ignores it
    )
    assert (done.stdout, done.stderr) == ("-2\n", "")


def test_nohup_stays_nohup() -> None:
    code = "import alexnet.interruption, signal; print(signal.getsignal(2) is signal.SIG_IGN)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": str(PROJECT / "src")},
        capture_output=True,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
    )
    assert done.stdout == "True\n"


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("program", ALL)
def test_at_random_moments(tmp_path: Path, program: str, number: signal.Signals) -> None:
    """From its first import on; before, Python itself starts."""
    for _ in range(4):
        started = subprocess.Popen(
            [sys.executable, "-X", "importtime", path(program)],
            cwd=tmp_path,
            env=os.environ | {"HOME": str(tmp_path)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
        assert started.stderr is not None
        while "alexnet.interruption" not in (line := started.stderr.readline()):
            assert line
        time.sleep(random.uniform(0, 3))
        started.send_signal(number)
        _, errors = started.communicate(timeout=120)
        lines = [line for line in errors.splitlines() if not line.startswith("import time:")]
        # of its own, and perhaps hit while Python, which has no handlers then, is shutting down
        ended_before = len(lines) == 1 and lines[0].startswith("Error: ")
        ended_before = ended_before and started.returncode in (1, -number)
        assert ended_before or (started.returncode, lines) == (128 + number, ["Interrupted."]), lines
