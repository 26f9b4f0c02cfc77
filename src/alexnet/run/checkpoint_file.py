"""Checkpoints on disk: always whole, and read without trusting them."""

import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO
from torch import Tensor

from alexnet.errors import UserError


class CheckpointFiles(TorchCheckpointIO):
    """Lightning's reading and writing of checkpoints, done by the functions below."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None
    ) -> None:
        write_checkpoint(Path(path), checkpoint)

    def load_checkpoint(
        self,
        path: str | Path,
        map_location: Callable[..., Any] | None = None,
        weights_only: bool | None = None,
    ) -> dict[str, Any]:
        return read_checkpoint(Path(path))


def write_checkpoint(path: Path, content: dict[str, Any]) -> None:
    """Write a checkpoint, whole or not at all; what was there stays until the new one is on the disk.

    Raises `UserError` where that cannot be done, for want of space for one; nothing of it is left then.
    """
    aside = path.with_name(f".{path.name}.partial")
    try:
        with aside.open("wb") as file:
            torch.save(content, file)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
        _sync_folder(path.parent)
    except (OSError, RuntimeError) as error:
        needed = _size(content)
        aside.unlink(missing_ok=True)
        raise UserError(f"Cannot write {path}, {needed / 1e6:,.0f} MB: {_reason(error)}.") from error


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The content of a checkpoint, tensors on the CPU. Nothing in it is executed.

    Raises `UserError` where it is not there, damaged (its checksums tell), or holds more than plain data.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()  # torch does not look at the checksums that it writes
        if damaged is not None:
            raise UserError(f"{path} is damaged: {damaged} in it has changed since it was written.")
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise UserError(f"{path}: there is no such checkpoint.") from None
    except OSError as error:
        raise UserError(f"Cannot read {path}: {error.strerror or error}.") from error
    except UnpicklingError as error:
        raise UserError(f"{path} holds more than plain data, which could run code: not loaded.") from error
    except (zipfile.BadZipFile, RuntimeError, ValueError, EOFError, NotImplementedError) as error:
        raise UserError(f"{path} is damaged, or no checkpoint: {_first_line(error)}.") from error
    if not isinstance(content, dict) or not isinstance(content.get("state_dict"), dict):
        raise UserError(f"{path} is no checkpoint of this program: it has no state_dict.")
    return content


def check_fits(path: Path, checkpoint: dict[str, Any], ours: dict[str, Tensor]) -> None:
    """Raise `UserError` where a checkpoint's weights are not of a network with the state `ours`."""
    theirs = checkpoint["state_dict"]
    for name in sorted(theirs.keys() | ours.keys()):
        there, here = (tuple(state[name].shape) if name in state else None for state in (theirs, ours))
        if there != here:
            raise UserError(
                f"{path} is of another network: {name} is {_shape(there)} in it, and {_shape(here)} here."
            )


def _shape(shape: tuple[int, ...] | None) -> str:
    return "not there" if shape is None else "x".join(map(str, shape)) or "a number"


def _size(content: Any) -> int:
    if isinstance(content, Tensor):
        return content.nbytes
    parts = content.values() if isinstance(content, dict) else content if isinstance(content, list) else ()
    return sum(_size(part) for part in parts)


def _reason(error: Exception) -> str:
    """What the system said; torch wraps it."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.strerror:
            return seen.strerror
        seen = seen.__cause__ or seen.__context__
    return _first_line(error)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")


def _sync_folder(folder: Path) -> None:
    """A renamed file is there after a power cut only when its folder has been written, too."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
