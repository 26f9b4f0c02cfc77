"""Files that come together, or not at all."""

import math
import os
import struct
from pathlib import Path

import pytest

from alexnet.errors import UserError
from alexnet.files import atomic_write_files, make_output_folder, read_json, shortest_decimal


def content(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir() if path.is_file()}


@pytest.mark.parametrize("number", [0.1, 20.5, 33.333332, 1e-8, 2.302585, 16777216.0, 0.0])
def test_the_digits_that_float32_adds_are_left_out(number: float) -> None:
    rounded = struct.unpack("f", struct.pack("f", number))[0]
    assert shortest_decimal(rounded) == number
    assert shortest_decimal(number) == number  # once more changes nothing


def test_numbers_that_are_none() -> None:
    assert math.isnan(shortest_decimal(math.nan))
    assert shortest_decimal(-math.inf) == -math.inf


def test_files_come_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").write_text("old")
    (tmp_path / "c").write_text("kept")
    synced: list[str] = []
    monkeypatch.setattr(
        os, "fsync", lambda file: synced.append(Path(f"/proc/self/fd/{file}").readlink().name)
    )
    with atomic_write_files(tmp_path) as aside:
        (aside / "a").write_text("new")
        (aside / "b").write_text("new")
        assert content(tmp_path) == {"a": "old", "c": "kept"}
    assert content(tmp_path) == {"a": "new", "b": "new", "c": "kept"}
    assert synced == ["a", "b", tmp_path.name]
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt()])
def test_nothing_is_left_of_what_fails(error: BaseException, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old")

    def write() -> None:
        with atomic_write_files(tmp_path) as aside:
            (aside / "a").write_text("new")
            raise error

    with pytest.raises(type(error)):
        write()
    assert content(tmp_path) == {"a": "old"}
    assert len(list(tmp_path.iterdir())) == 1


def test_an_error_names_the_folder(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No space left") as told, atomic_write_files(tmp_path):
        raise OSError(28, "No space left on device")
    assert told.value.filename == str(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_old_and_new_are_never_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stop between the first file and the second, as by a power cut."""
    for name in "ab":
        (tmp_path / name).write_text("old")
    replace = Path.replace

    def stopped(self: Path, target: Path) -> Path:
        if self.name == "b":
            raise KeyboardInterrupt
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", stopped)
    with pytest.raises(KeyboardInterrupt), atomic_write_files(tmp_path) as aside:
        for name in "ab":
            (aside / name).write_text("new")
    assert content(tmp_path) == {"a": "new"}


def test_an_output_folder_is_made_or_refused(tmp_path: Path) -> None:
    make_output_folder(tmp_path / "a/b")
    make_output_folder(tmp_path / "a/b")
    assert list((tmp_path / "a/b").iterdir()) == []
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"^Cannot write to .*/file: File exists\. Give another: out=\.\.\.$"):
        make_output_folder(tmp_path / "file")
    with pytest.raises(UserError, match=r"^Cannot make .*: Not a directory\. Give another: outputs=\.\.\.$"):
        make_output_folder(tmp_path / "file/a", "Cannot make", setting="outputs")


@pytest.mark.parametrize(
    ("text", "expected"),
    [(b'{"a": 1}', {"a": 1}), (b'{"a": ', {}), (b"[1]", {}), (b"\xff", {}), (None, {})],
)
def test_an_object_or_nothing(tmp_path: Path, text: bytes | None, expected: dict[str, int]) -> None:
    if text is not None:
        (tmp_path / "x.json").write_bytes(text)
    assert read_json(tmp_path / "x.json") == expected
