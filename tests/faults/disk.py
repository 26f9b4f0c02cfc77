"""Disks that are small or full, and folders that are read-only."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk(place: Path, size: str) -> Iterator[Path]:
    """A disk of `size` ("2m") at `place`. Skips the test where none can be mounted."""
    place.mkdir()
    _mount("-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place))
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


@contextmanager
def read_only(place: Path) -> Iterator[str]:
    """Let nobody write in a folder; yields the system's reason.

    Root, who needs no permission, mounts it so. Skips the test where that cannot be.
    """
    if os.geteuid():
        with _without_permission(place):
            yield "Permission denied"
        return
    _mount("--bind", str(place), str(place))
    try:
        _mount("-o", "remount,ro,bind", str(place))
        yield "Read-only file system"
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


@contextmanager
def _without_permission(place: Path) -> Iterator[None]:
    modes = {path: path.stat().st_mode for path in (place, *place.rglob("*"))}
    try:
        for path, mode in modes.items():
            path.chmod(mode & ~0o222)
        yield
    finally:
        for path, mode in modes.items():
            path.chmod(mode)


def resize(place: Path, size: str) -> None:
    """Make a small disk a larger one."""
    _mount("-o", f"remount,size={size}", str(place))


def fill(place: Path) -> None:
    """Leave no room on the disk that holds `place`."""
    with (place / "filler").open("wb", buffering=0) as file:
        for size in (1 << 16, 1 << 12, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                continue


def _mount(*arguments: str) -> None:
    if os.geteuid():
        pytest.skip("mounting a disk needs root (or: unshare -Urm)")
    done = subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no disk can be mounted here: {done.stderr.strip()}")
