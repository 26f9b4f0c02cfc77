"""Atomic writes, and the formats of plain data: text, JSON, YAML, CSV and npz."""

import csv
import io
import json
import math
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO
from zipfile import BadZipFile

import numpy as np
import yaml
from numpy.typing import NDArray

from alexnet.errors import UserError

PARTIAL = ".partial"  # suffix of what is still being written
MAX_WHOLE = 2**53  # all whole numbers up to here are floats
MAX_DEPTH = 100  # of YAML; libyaml overflows the stack where brackets are nested some ten thousand deep


@contextmanager
def atomic_write(path: Path) -> Iterator[BinaryIO]:
    """Yield a file that replaces `path` once it is on the disk; on failure nothing of it is left.

    The previous file at `path` stays until then. An `OSError` names the file, which the system omits for a
    full disk.
    """
    partial = partial_path(path)
    try:
        with partial.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
        _sync(path.parent)
    except BaseException as error:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.strerror:
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise


@contextmanager
def atomic_write_files(folder: Path) -> Iterator[Path]:
    """Yield a folder whose files move to `folder` once all are on the disk; on failure nothing is left.

    Existing files of the same names are removed before the first new one is moved, so that old and new files
    are never mixed. An `OSError` names the folder.
    """
    try:
        with TemporaryDirectory(prefix=".", suffix=PARTIAL, dir=folder) as partial:
            yield Path(partial)
            files = sorted(Path(partial).iterdir())
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


def make_output_folder(folder: Path, failure: str = "Cannot write to", *, setting: str = "out") -> None:
    """Create an output folder, with its parents, and check that it is writable.

    Raises a `UserError` that begins with `failure` and names the setting to change.
    """
    probe = folder / ".writable"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink(missing_ok=True)  # another process may have removed it
    except OSError as error:
        raise UserError(f"{failure} {folder}: {error.strerror}. Give another: {setting}=...") from error


def partial_path(path: Path) -> Path:
    """Return the temporary path that `atomic_write` writes to; a process that is killed leaves it behind."""
    return path.with_name(f".{path.name}{PARTIAL}")


def remove_leftovers(folder: Path) -> None:
    """Remove the partial files that killed processes have left in a folder."""
    for path in folder.glob(f".*{PARTIAL}"):
        path.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    """Flush a file, or a folder, to the disk.

    A renamed file survives a power failure only if its folder has been flushed, too.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text file; the bytes of file names in it that are not UTF-8 are kept."""
    with atomic_write(path) as file:
        file.write(text.encode(errors="surrogateescape"))


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file. Non-finite numbers become null."""
    write_text(path, json.dumps(_finite(content), indent=2, allow_nan=False) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """Return the object in a JSON file; empty if the file is missing, damaged, or holds something else."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def parse_yaml(text: str) -> Any:
    """Return the plain data of a YAML text, read by libyaml where PyYAML has it, which is ten times as fast.

    Raises `yaml.YAMLError` for what no program writes, too: aliases, a few lines of which can expand to fill
    the memory, and deep nesting.
    """
    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    depth = 0
    for event in yaml.parse(text, loader):  # one event at a time, however deep
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if isinstance(event, yaml.AliasEvent) or depth > MAX_DEPTH:
            raise yaml.YAMLError("aliases, or nested too deep")
    return yaml.load(text, loader)


def write_csv(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write a CSV file with the columns of all rows, in the order of their appearance.

    Without rows, remove it. Floats are written with six significant digits, whole numbers with all of
    theirs; missing and NaN values are empty cells.
    """
    if not rows:
        path.unlink(missing_ok=True)
        return
    columns = list(dict.fromkeys(column for row in rows for column in row))
    write_text(path, csv_text(columns, ([row.get(column) for column in columns] for row in rows)))


def csv_text(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Return the text of a CSV file, formatted as in `write_csv`."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(columns)
    writer.writerows([_cell(value) for value in row] for row in rows)
    return text.getvalue()


def read_csv_columns(path: Path) -> dict[str, list[float]]:
    """Return the columns of a CSV file of numbers; an empty cell is NaN."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return {key: [float(row[key] or "nan") for row in rows] for key in rows[0]} if rows else {}


def shortest_decimal(value: float) -> float:
    """Return the shortest number that float32 rounds to `value`: 0.1 for 0.10000000149011612."""
    return float(str(np.float32(value)))


def _finite(content: Any) -> Any:
    if isinstance(content, dict):
        return {key: _finite(value) for key, value in content.items()}
    if isinstance(content, list):
        return [_finite(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content


def _cell(value: Any) -> Any:
    if not isinstance(value, float):
        return value
    if math.isnan(value):
        return ""
    return f"{value:.0f}" if value.is_integer() and abs(value) < MAX_WHOLE else f"{value:.6g}"


def reasons_csv(reasons: dict[str, str]) -> str:
    """Return the text of a CSV file that lists files set aside, with the reasons."""
    return csv_text(("file", "reason"), sorted(reasons.items()))


Arrays = dict[str, NDArray[Any]]

NOTES = "notes"


def save_npz(path: Path, arrays: Arrays, notes: Any = None) -> None:
    """Write arrays and JSON-serializable notes atomically to an .npz file."""
    text = np.frombuffer(json.dumps(notes).encode(), np.uint8)
    with atomic_write(path) as file:
        np.savez(file, allow_pickle=False, **{NOTES: text}, **arrays)


def load_npz(path: Path) -> tuple[Arrays, Any]:
    """Return arrays and notes. Raises `OSError` or `ValueError` for what `save_npz` did not write."""
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (BadZipFile, EOFError) as error:
        raise ValueError(f"{path.name} is truncated") from error
    return arrays, json.loads(arrays.pop(NOTES, np.array([], np.uint8)).tobytes() or "null")
