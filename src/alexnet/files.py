"""Atomic writes, and the formats of plain data: text, JSON, CSV and npz."""

import csv
import io
import json
import math
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray


@contextmanager
def atomic_write(path: Path) -> Iterator[BinaryIO]:
    """A file to write, which takes the place of `path` when it is on the disk, and leaves nothing where
    that fails. What was at `path` stays until then. An `OSError` names the file, which the system does
    not do for a full disk.
    """
    aside = partial_path(path)
    try:
        with aside.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
        _sync(path.parent)
    except BaseException as error:
        with suppress(OSError):
            aside.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.strerror:
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise


@contextmanager
def atomic_write_files(folder: Path) -> Iterator[Path]:
    """A folder to write files into, which take their places in `folder` when all are on the disk, and leaves
    nothing where that fails. What was there under their names goes before the first of them comes: those
    that are found belong together. An `OSError` names the folder.
    """
    try:
        with TemporaryDirectory(prefix=".", suffix=".partial", dir=folder) as aside:
            yield Path(aside)
            files = sorted(Path(aside).iterdir())
            for file in files:
                _sync(file)
            for file in files:
                (folder / file.name).unlink(missing_ok=True)
            for file in files:
                file.replace(folder / file.name)
        _sync(folder)
    except OSError as error:
        if error.strerror:
            raise OSError(error.errno, error.strerror, str(folder)) from error
        raise


def partial_path(path: Path) -> Path:
    """Where a file is written first; a process that is killed meanwhile leaves it there."""
    return path.with_name(f".{path.name}.partial")


def remove_leftovers(folder: Path) -> None:
    """Remove what killed processes had not finished to write in a folder."""
    for left in folder.glob(".*.partial"):
        left.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    """Have a file on the disk, or a folder: a renamed file is there after a power cut only when its folder
    has been written, too.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_text(path: Path, text: str) -> None:
    """Write a text file; a file name in it that is no UTF-8 stays as it is."""
    with atomic_write(path) as file:
        file.write(text.encode(errors="surrogateescape"))


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file. What is no finite number becomes null."""
    write_text(path, json.dumps(_finite(content), indent=2, allow_nan=False) + "\n")


def write_csv(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write a CSV file with the columns of the first row. Without rows there is none."""
    if not rows:
        path.unlink(missing_ok=True)
        return
    text = io.StringIO(newline="")
    columns = list(rows[0])
    writer = csv.DictWriter(text, columns)
    writer.writeheader()
    writer.writerows({column: _cell(row.get(column)) for column in columns} for row in rows)
    write_text(path, text.getvalue())


def _finite(content: Any) -> Any:
    if isinstance(content, dict):
        return {key: _finite(value) for key, value in content.items()}
    if isinstance(content, list):
        return [_finite(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content


def _cell(value: Any) -> Any:
    return f"{value:.6g}" if isinstance(value, float) else value


def reasons_table(reasons: dict[str, str]) -> str:
    """The text of a CSV file: each file that was set aside, and why."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(("file", "reason"))
    writer.writerows(sorted(reasons.items()))
    return text.getvalue()


Arrays = dict[str, NDArray[Any]]

NOTES = "notes"


def save_npz(path: Path, arrays: Arrays, notes: Any = None) -> None:
    """Write arrays and JSON-like notes; aside and renamed, so that half a file is never read."""
    aside = path.with_suffix(f".{os.getpid()}.partial")
    text = np.frombuffer(json.dumps(notes).encode(), np.uint8)
    with aside.open("wb") as file:
        np.savez(file, allow_pickle=False, **{NOTES: text}, **arrays)
    aside.replace(path)


def load_npz(path: Path) -> tuple[Arrays, Any]:
    """Arrays and notes. Raises `OSError` or `ValueError` for what `save_npz` did not write."""
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except BadZipFile as error:
        raise ValueError(f"{path.name} is cut off") from error
    return arrays, json.loads(arrays.pop(NOTES, np.array([], np.uint8)).tobytes() or "null")
