"""SIGKILL at any moment: no checkpoint is lost, and the run ends as if it had never been killed."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from alexnet.runs.checkpoint_io import read_checkpoint
from conftest import SMALL
from entry_point import run_train
from kill_at_random import kill_at_random, start_fresh, start_warm
from survival import differences, outcome


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """As in the processes that are killed: another number of threads adds up in another order."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.slow
@pytest.mark.parametrize("warm", [True, False])
def test_at_random_moments(synthetic: tuple[str, ...], tmp_path: Path, warm: bool) -> None:
    kills, start = (2, start_warm) if warm else (25, start_fresh)
    made, differing = kill_at_random(tmp_path, kills, 0, synthetic, start)
    assert differing == []
    assert len(made) == kills
    if not warm:
        assert sum(kill.cut for kill in made) >= 3


def kill_at(owner: Any, name: str, wanted: Callable[..., bool]) -> None:
    """Have this process killed when it calls a function with such arguments for the second time."""
    called, times = getattr(owner, name), []

    def killing(*arguments: Any, **options: Any) -> Any:
        times.extend([1] * wanted(*arguments))
        if len(times) == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return called(*arguments, **options)

    setattr(owner, name, killing)


def write_half() -> None:
    save, times = torch.save, []

    def half(content: Any, file: Any) -> None:
        save(content, file)
        times.append(1)
        if len(times) == 3:  # best.ckpt, last.ckpt, last.ckpt
            file.truncate(file.tell() // 2)
            os.fsync(file.fileno())
            os.kill(os.getpid(), signal.SIGKILL)

    torch.save = half


def before_the_rename() -> None:
    kill_at(Path, "replace", lambda source, target: target.name == "last.ckpt")


@pytest.mark.parametrize("moment", [pytest.param(write_half, marks=pytest.mark.slow), before_the_rename])
def test_while_a_checkpoint_is_written(
    synthetic: tuple[str, ...], tmp_path: Path, moment: Callable[[], None]
) -> None:
    """The one before is there, whole; what was half written is gone after the next start."""
    command = (*SMALL, *synthetic, "logger=csv")
    assert run_train(*command, f"run_folder={tmp_path / 'whole'}").status == 0
    folder = tmp_path / "run"
    process = start_warm([*command, f"run_folder={folder}"], tmp_path / "log", moment)
    process.join(60)
    assert process.exitcode == -signal.SIGKILL, (tmp_path / "log").read_text()
    assert (folder / "checkpoints/.last.ckpt.partial").exists()
    assert read_checkpoint(folder / "checkpoints/last.ckpt")["global_step"] == 4
    (folder / "figures/.columns.png.partial").touch()  # of a file that is not written again
    assert run_train(f"resume={folder}").status == 0
    assert not list(folder.rglob(".*.partial"))
    assert differences(outcome(folder), outcome(tmp_path / "whole")) == []
