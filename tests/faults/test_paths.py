"""Run folders with any name: the printed command can be pasted into a shell."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from alexnet.runs.resume import read_run_config
from alexnet.training.module import ClassificationModule
from conftest import PROJECT, SMALL
from entry_point import run_train

RARE = (
    *('a "b"', "a=b,c", "{x: [1]}", "$HOME", "#1", "-dash", "back\\slash", "tab\tx", "line\nbreak"),
    *("~", "%s", "*", "!", "(1)"),
)
NAMES = ["täglich 日本 🎉", "it's", *(pytest.param(name, marks=pytest.mark.slow) for name in RARE)]


@pytest.fixture(params=NAMES)
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return tmp_path / request.param


@pytest.fixture
def stopped(folder: Path, synthetic: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> str:
    """Return what an interrupted run prints."""

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patches:
        patches.setattr(ClassificationModule, "training_step", stop)
        done = run_train(*SMALL, *synthetic, "logger=csv", f"run_folder={folder}")
    assert done.status == 1
    assert json.loads((folder / "result.json").read_text())["status"] == "interrupted"
    assert read_run_config(folder)["run_folder"] == str(folder)
    return done.err


def test_the_printed_command_can_be_pasted(folder: Path, stopped: str) -> None:
    typed = re.search(r"To resume: python (src/train.py .*)", stopped, re.DOTALL)
    assert typed
    command = f"{sys.executable} -c 'import sys; print(sys.argv[1:])' {typed[1]}"
    parsed = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True).stdout
    program, *arguments = eval(parsed)
    assert program == "src/train.py"
    assert run_train(*arguments).status == 0
    assert json.loads((folder / "result.json").read_text())["status"] == "completed"


@pytest.mark.slow
def test_in_a_shell(synthetic: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The line itself, with the program and all."""
    folder = tmp_path / "it's here"
    with monkeypatch.context() as patches:
        patches.setattr(ClassificationModule, "training_step", lambda *_: exit())
        done = run_train(*SMALL, *synthetic, "logger=csv", f"run_folder={folder}")
    line = done.err.partition("To resume: python ")[2]
    subprocess.run(["bash", "-c", f"{sys.executable} {line}"], cwd=PROJECT, check=True, capture_output=True)
    assert json.loads((folder / "result.json").read_text())["status"] == "completed"


def test_outputs_behind_a_link(synthetic: tuple[str, ...], tmp_path: Path) -> None:
    """Also above a link: outputs=<link>/../outputs."""
    (tmp_path / "disk/large").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "disk/large")
    fast = ("trainer.limit_train_batches=1", "trainer.limit_val_batches=1", "trainer.max_epochs=1")
    for outputs in ("link/outputs", "link/../outputs"):
        done = run_train(*SMALL, *synthetic, *fast, "logger=csv", f"outputs={tmp_path / outputs}")
        assert done.status == 0
    assert len(list(tmp_path.glob("disk/large/outputs/runs/*/result.json"))) == 1
    assert len(list(tmp_path.glob("disk/outputs/runs/*/result.json"))) == 1
