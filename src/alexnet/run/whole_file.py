"""Files that are whole, or not there."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO


@contextmanager
def written_whole(path: Path) -> Iterator[BinaryIO]:
    """A file to write, which takes the place of `path` when it is on the disk, and leaves nothing where
    that fails. What was at `path` stays until then. An `OSError` names the file, which the system does
    not do for a full disk.
    """
    aside = aside_of(path)
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
def written_together(folder: Path) -> Iterator[Path]:
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


def aside_of(path: Path) -> Path:
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
