"""Checkpoints that are damaged, of something else, or would run code: one line, and nothing is executed."""

import os
import pickle
import random
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch

from alexnet.errors import UserError
from alexnet.runs.checkpoint_io import read_checkpoint, write_checkpoint
from conftest import SMALL
from entry_point import refused, run_train
from survival import differences


@pytest.fixture(scope="module")
def run(synthetic: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run."""
    folder = tmp_path_factory.mktemp("run") / "run"
    assert run_train(*SMALL, *synthetic, "logger=csv", f"run_folder={folder}").status == 0
    return folder


@pytest.fixture(scope="module")
def content(run: Path) -> dict[str, Any]:
    return read_checkpoint(run / "checkpoints/last.ckpt")


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A checkpoint of 4 kB."""
    state = {f"layer{number}": torch.arange(40.0) + number for number in range(4)}
    write_checkpoint(tmp_path / "small.ckpt", {"state_dict": state, "epoch": 3, "note": [1.5, "text", None]})
    return tmp_path / "small.ckpt"


def refuse_or_read(path: Path, data: bytes) -> Any:
    """What is read of such a file; None where it is refused in one line, which names it."""
    path.write_bytes(data)
    try:
        return read_checkpoint(path)
    except UserError as refusal:
        assert str(path) in str(refusal)
        assert "\n" not in str(refusal)
        return None


@pytest.mark.parametrize("kept", [0, 1, 4, 30, 100, 0.1, 0.5, 0.9, 0.999, -100, -22, -1])
def test_truncated(run: Path, tmp_path: Path, kept: float) -> None:
    data = (run / "checkpoints/last.ckpt").read_bytes()
    length = int(kept * len(data)) if isinstance(kept, float) else kept
    assert refuse_or_read(tmp_path / "cut.ckpt", data[:length]) is None


def test_flipped_bits(run: Path, content: dict[str, Any], tmp_path: Path) -> None:
    """Sixty anywhere in a run's checkpoint: refused, or in padding."""
    data, drawn = (run / "checkpoints/last.ckpt").read_bytes(), random.Random(0)
    for _ in range(60):
        flipped = bytearray(data)
        flipped[drawn.randrange(len(data))] ^= 1 << drawn.randrange(8)
        read = refuse_or_read(tmp_path / "flipped.ckpt", flipped)
        assert read is None or differences(read, content) == []


@pytest.mark.parametrize("bits", [range(1), pytest.param(range(8), marks=pytest.mark.slow)])
def test_flipped_bits_of_the_directory(small: Path, bits: range) -> None:
    """Each byte of the list of parts at the end, which no checksum covers: no other content is ever read."""
    data, content = small.read_bytes(), read_checkpoint(small)
    with zipfile.ZipFile(small) as archive:
        begin = archive.start_dir
    for offset in range(begin, len(data)):
        for bit in bits:
            flipped = bytearray(data)
            flipped[offset] ^= 1 << (bit + offset) % 8
            read = refuse_or_read(small, flipped)
            assert read is None or differences(read, content) == [], (offset - begin, bit)


def test_marked_as_a_folder(small: Path) -> None:
    """One bit, with which torch reads zeros instead of a tensor."""
    data = small.read_bytes()
    with zipfile.ZipFile(small) as archive:
        place = archive.start_dir
    entry = data.index(b"PK\x01\x02", data.index(b"archive/data/2", place) - 60)
    flipped = bytearray(data)
    flipped[entry + 38] ^= 0x10
    assert refuse_or_read(small, flipped) is None


class Marker:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return os.mkdir, (str(self.path),)


FORMS: dict[str, Callable[[Any, Path], object]] = {
    "pickle": lambda content, path: path.write_bytes(pickle.dumps(content)),
    "torch": torch.save,
    "torch of old": lambda content, path: torch.save(content, path, _use_new_zipfile_serialization=False),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("whole", [True, False], ids=["in a checkpoint", "alone"])
def test_code(tmp_path: Path, run: Path, content: dict[str, Any], form: str, whole: bool) -> None:
    """Nothing of a pickle is executed, neither when it is read nor when a run is resumed from it."""
    marker = Marker(tmp_path / "marker")
    FORMS[form](content | {"callbacks": {"x": marker}} if whole else marker, tmp_path / "bad.ckpt")
    with pytest.raises(UserError, match=r"run code|not a checkpoint"):
        read_checkpoint(tmp_path / "bad.ckpt")
    assert not marker.path.exists()
    with suppress(RuntimeError):  # not of torch's own form
        torch.load(tmp_path / "bad.ckpt", weights_only=False)
    assert marker.path.exists()  # it was a real one


def resume_with(run: Path, tmp_path: Path, write: Callable[[Path], object]) -> str:
    """Return the line with which the run is refused once its last.ckpt has been replaced."""
    folder = tmp_path / "run"
    folder.symlink_to(run)
    last = run / "checkpoints/last.ckpt"
    before = last.read_bytes()
    try:
        last.unlink()
        write(last)
        return refused(f"resume={folder}", "trainer.max_epochs=3").replace(str(last), "last.ckpt")
    finally:
        last.write_bytes(before)


@pytest.mark.slow
def test_what_resume_reports(run: Path, content: dict[str, Any], tmp_path: Path) -> None:
    """For all that may be found instead of last.ckpt."""
    state = content["state_dict"]
    other = state | {"network.conv1.weight": torch.zeros(3, 3)}
    less = {key: value for key, value in state.items() if key != "network.fc6.bias"}
    wrong: dict[str, tuple[Callable[[Path], object], str]] = {
        "nothing": (lambda path: path.write_bytes(b""), "is damaged, or not a checkpoint"),
        "text": (lambda path: path.write_text("epoch,loss\n1,2.3\n"), "is damaged, or not a checkpoint"),
        "a tensor": (lambda path: torch.save(torch.zeros(3), path), "has no state_dict"),
        "a list": (lambda path: torch.save([1], path), "has no state_dict"),
        "numbers": (lambda path: torch.save({"state_dict": {"a": 1}}, path), "has no state_dict of tensors"),
        "code": (lambda path: torch.save(content | {"x": Marker(tmp_path / "m")}, path), "could run code"),
        "best.ckpt": (
            lambda path: path.write_bytes((run / "checkpoints/best.ckpt").read_bytes()),
            "cannot be resumed from. It has weights, but no",
        ),
        "another network": (
            lambda path: torch.save(content | {"state_dict": other}, path),
            "is from another network: network.conv1.weight is 3x3 there, but 6x3x11x11 here",
        ),
        "a smaller network": (
            lambda path: torch.save(content | {"state_dict": less}, path),
            "is from another network: network.fc6.bias is missing there",
        ),
    }
    for name, (write, expected) in wrong.items():
        place = tmp_path / name
        place.mkdir()
        assert expected in resume_with(run, place, write), name
    assert not (tmp_path / "m").exists()
