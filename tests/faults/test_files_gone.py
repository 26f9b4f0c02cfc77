"""Files that disappear during a run, and folders that cannot be written to."""

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from disk import read_only

from alexnet.data.dataset import ImageDataset
from alexnet.data.image import decode_image
from alexnet.runs.checkpoint_io import read_checkpoint
from alexnet.training.module import ClassificationModule
from conftest import SMALL
from entry_point import refused, run_train


def at_step(monkeypatch: pytest.MonkeyPatch, step: int, happens: Callable[[], object]) -> None:
    """Have something happen before a step of training."""
    before = ClassificationModule.training_step

    def training_step(module: ClassificationModule, batch: Any, batch_idx: int) -> Any:
        if module.global_step == step:
            happens()
        return before(module, batch, batch_idx)

    monkeypatch.setattr(ClassificationModule, "training_step", training_step)


@pytest.fixture
def command(image_tree: Path, tmp_path: Path) -> tuple[str, ...]:
    """Trains on twelve images in three steps an epoch, in <tmp_path>/run."""
    return (
        *(*SMALL, "data=folder", f"data.root={image_tree}", "data.batch_size=4", "data.workers=0"),
        *("logger=csv", f"data.cache={tmp_path / 'cache'}", f"run_folder={tmp_path / 'run'}"),
    )


def test_an_image(
    command: tuple[str, ...], image_tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Removed in the second epoch, when it has yet to be read: named, and more than may be missing."""
    at_step(monkeypatch, 3, lambda: [path.unlink() for path in (image_tree / "val/cat").iterdir()])
    line = refused(*command)
    assert "of 18 images" in line
    assert "more than data.max_unreadable=0.001. One is val/cat/cat" in line
    assert ".jpg: No such file or directory." in line
    result = json.loads((tmp_path / "run/result.json").read_text())
    assert (result["status"], f"Error: {result['error']}") == ("failed", line)
    assert read_checkpoint(tmp_path / "run/checkpoints/last.ckpt")["global_step"] == 3


def test_an_image_that_may_be_missing(
    command: tuple[str, ...], image_tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_step(monkeypatch, 3, lambda: [path.unlink() for path in (image_tree / "val/cat").iterdir()])
    assert run_train(*command, "data.max_unreadable=0.5").status == 0
    result = json.loads((tmp_path / "run/result.json").read_text())
    assert (result["status"], result["excluded_files"], result["val"]["samples"]) == ("completed", 3, 3)
    with (tmp_path / "run/excluded_files.csv").open() as file:
        named = {row["file"]: row["reason"] for row in csv.DictReader(file)}
    assert named == {f"val/cat/cat{number}.jpg": "No such file or directory" for number in range(3)}


def test_the_run_folder(command: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not made again: what it held is gone."""
    folder = tmp_path / "run"
    at_step(monkeypatch, 4, lambda: shutil.rmtree(folder))
    line = refused(*command)
    assert str(folder) in line
    assert line.endswith(": No such file or directory.")  # without a resume hint
    assert not folder.exists()


@pytest.mark.parametrize("option", ["outputs={}", "run_folder={}/new", "resume={}/run"])
def test_a_read_only_folder(command: tuple[str, ...], tmp_path: Path, option: str) -> None:
    disk = tmp_path / "disk"
    (disk / "run").mkdir(parents=True)
    if option.startswith("resume"):
        assert run_train(*command[:-1], f"run_folder={disk / 'run/made'}").status == 0
    with read_only(disk) as reason:
        line = refused(*command[:-1], option.format(disk)) if "resume" not in option else resumed(disk)
    assert line.startswith(("Error: Cannot create the run folder ", "Error: Cannot write to the run folder "))
    assert line.endswith(f": {reason}.")


def resumed(disk: Path) -> str:
    return refused(f"resume={disk / 'run/made'}", "trainer.max_epochs=3")


def test_memory_for_an_image(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that does not decode for want of memory is not taken for a broken one."""
    for error in (MemoryError(), RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")):

        def decode(*_: Any, error: Exception = error) -> None:
            raise error

        monkeypatch.setattr("alexnet.data.image._decode", decode)
        with pytest.raises(type(error)):
            decode_image(b"x", 8)


def test_a_thread_that_reads(
    command: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unforeseen error in a thread: the run ends, and result.json has it."""
    read, times = ImageDataset.read, []

    def failing(images: ImageDataset, index: int, out: Any) -> int:
        times.append(index)
        if len(times) == 25:
            raise ZeroDivisionError("in a thread")
        return read(images, index, out)

    monkeypatch.setattr(ImageDataset, "read", failing)
    done = run_train(*command, "data.workers=2")
    assert done.status == 1
    assert "Traceback" in done.err  # a bug, which keeps its stack trace
    assert done.err.rstrip().endswith("ZeroDivisionError: in a thread")
    result = json.loads((tmp_path / "run/result.json").read_text())
    assert (result["status"], result["error"]) == ("failed", "ZeroDivisionError: in a thread")
    assert read_checkpoint(tmp_path / "run/checkpoints/last.ckpt")["global_step"] == 3
