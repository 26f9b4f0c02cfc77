"""Locks of what several processes would make at the same time: one makes it, the others wait."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from alexnet.errors import UserError
from alexnet.terminal import console

NOTICE_SECONDS = 5.0  # of waiting, after which a line says so


@contextmanager
def exclusive(path: Path, what: str, setting: str) -> Iterator[None]:
    """Hold the lock file at `path` while making `what`; wait for other processes that hold it.

    Raises `UserError` where it cannot be written, as on a disk that is read-only: `setting` is the key that
    gives another folder.
    """
    lock = FileLock(path)
    try:
        _acquire(lock, what)
    except OSError as error:
        raise UserError(
            f"Cannot write to {path.parent}: {error.strerror}. Give another folder: {setting}=..."
        ) from error
    try:
        yield
    finally:
        lock.release()


def _acquire(lock: FileLock, what: str) -> None:
    try:
        lock.acquire(timeout=NOTICE_SECONDS)
    except Timeout:
        console.print(f"Waiting   for another program that is making {what}", markup=False)
        lock.acquire()
