"""Checkpoint files: written atomically, read without executing anything in them."""

import zipfile
from collections.abc import Callable
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO
from torch import Tensor

from alexnet.errors import UserError, lacks_memory
from alexnet.files import atomic_write

FORMAT = 2  # of what a run is resumed from; raise it when its content changes


class AtomicCheckpointIO(TorchCheckpointIO):
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
    try:
        with atomic_write(path) as file:
            torch.save(content, file)
    except (OSError, RuntimeError) as error:
        if lacks_memory(error):
            raise
        needed = _size(content)
        raise UserError(f"Cannot write {path}, {needed / 1e6:,.0f} MB: {_reason(error)}.") from error


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The content of a checkpoint, as `read_plain`. Raises `UserError` where it is none, too."""
    content = read_plain(path)
    if not is_state(content.get("state_dict")):
        raise UserError(f"{path} is no checkpoint of this program: it has no state_dict of tensors.")
    return content


def read_plain(path: Path) -> dict[str, Any]:
    """What torch has saved in a file, tensors on the CPU. Nothing in it is executed.

    Raises `UserError` where it is not there, damaged (its checksums tell), or holds more than plain data.
    """
    try:
        if (changed := _changed_part(path)) is not None:
            raise UserError(f"{path} is damaged: {changed} in it has changed since it was written.")
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (UserError, MemoryError):
        raise
    except FileNotFoundError:
        raise UserError(f"{path}: there is no such checkpoint.") from None
    except OSError as error:
        raise UserError(f"Cannot read {path}: {error.strerror or error}.") from error
    except UnpicklingError as error:
        raise UserError(f"{path} holds more than plain data, which could run code: not loaded.") from error
    except Exception as error:  # the readers of archives and pickles raise many types for what is damaged
        if lacks_memory(error):
            raise
        raise UserError(f"{path} is damaged, or no checkpoint: {_first_line(error)}.") from error
    return content if isinstance(content, dict) else {}


def is_state(content: Any) -> bool:
    """Whether this is a state dict: names and tensors."""
    return isinstance(content, dict) and all(isinstance(value, Tensor) for value in content.values())


def check_resumable(path: Path, checkpoint: dict[str, Any], ours: dict[str, Tensor]) -> None:
    """Raise `UserError` where a run cannot go on from a checkpoint: it holds weights alone, or they are not
    of a network with the state `ours`.
    """
    lacking = sorted({"optimizer_states", "loops", "callbacks", "train_metrics"} - checkpoint.keys())
    if lacking:
        raise UserError(f"{path}: nothing to resume from. It holds weights, but no {lacking[0]}.")
    if checkpoint.get("format") != FORMAT:
        raise UserError(
            f"{path}: written by another version of this program, which alone can resume the run."
            " evaluate.py, predict.py and compare.py read it here."
        )
    check_shapes(path, checkpoint["state_dict"], ours)


def check_shapes(path: Path, theirs: dict[str, Tensor], ours: dict[str, Tensor]) -> None:
    """Raise `UserError` where weights read from `path` are not of a network with the state `ours`."""
    for name in sorted(theirs.keys() | ours.keys()):
        there, here = (tuple(state[name].shape) if name in state else None for state in (theirs, ours))
        if there != here:
            raise UserError(
                f"{path} is of another network: {name} is {_shape(there)} in it, and {_shape(here)} here."
            )


def _changed_part(path: Path) -> str | None:
    """What in a checkpoint is not as torch has written it. torch does not look at its own checksums, and
    takes a part that is marked as a folder for one of zeros.
    """
    with zipfile.ZipFile(path) as archive:
        marked = (part.filename for part in archive.infolist() if part.external_attr or part.compress_type)
        return next(marked, None) or archive.testzip()


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
