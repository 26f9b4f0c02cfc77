"""Checkpoint files, written atomically and read without executing any code in them."""

import zipfile
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor

from alexnet.errors import UserError, first_line, lacks_memory
from alexnet.files import atomic_write

AVERAGE = "state_dict_ema"  # averages of the weights, beside those that training goes on with; as in timm
FORMAT = 2  # version of the state for resuming; increase it when its keys or their meaning change


def write_checkpoint(path: Path, content: dict[str, Any]) -> None:
    """Write a checkpoint atomically: the previous one stays until the new one is on the disk.

    Raises `UserError` if it cannot be written, as on a full disk, and leaves nothing of it.
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
    """Return the content of a checkpoint, read by `read_plain`. Raises `UserError` for any other file."""
    content = read_plain(path)
    if not is_state(content.get("state_dict")):
        raise UserError(f"{path} is not a checkpoint of this program: it has no state_dict of tensors.")
    return content


def read_plain(path: Path) -> dict[str, Any]:
    """Return the content of a file saved by torch, with tensors on the CPU. No code in it is executed.

    Raises `UserError` for a file that does not exist, does not match its checksums, or holds more than plain
    data.
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
        raise UserError(f"{path} contains more than plain data, which could run code: not loaded.") from error
    except Exception as error:  # readers of archives and pickles raise many types for damaged files
        if lacks_memory(error):
            raise
        raise UserError(
            f"{path} is damaged, or not a checkpoint: {first_line(error).rstrip('.')}."
        ) from error
    return content if isinstance(content, dict) else {}


def weights_to_use(checkpoint: dict[str, Any]) -> dict[str, Tensor]:
    """Return the weights of a checkpoint that are evaluated: their averages, where it has them."""
    weights: dict[str, Tensor] = checkpoint[AVERAGE if is_state(checkpoint.get(AVERAGE)) else "state_dict"]
    return weights


def is_state(content: Any) -> bool:
    """Return whether `content` is a state dict: names and tensors."""
    return isinstance(content, dict) and all(isinstance(value, Tensor) for value in content.values())


def check_resumable(path: Path, checkpoint: dict[str, Any], expected: dict[str, Tensor]) -> None:
    """Raise `UserError` for a checkpoint from which a run with the state dict `expected` cannot be resumed.

    Such a checkpoint holds only weights, or is from another version of this program, or of another network.
    """
    lacking = sorted({"optimizer_states", "loops", "callbacks", "train_metrics"} - checkpoint.keys())
    if lacking:
        raise UserError(f"{path}: cannot be resumed from. It has weights, but no {lacking[0]}.")
    if checkpoint.get("format") != FORMAT:
        raise UserError(
            f"{path}: written by another version of this program; resuming the run needs that version."
            " evaluate.py, predict.py and compare.py of this version can read it."
        )
    check_shapes(path, checkpoint["state_dict"], expected)


def check_shapes(path: Path, read: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    """Raise `UserError` if names or shapes of the weights read from `path` are not those expected."""
    for name in sorted(read.keys() | expected.keys()):
        shape, wanted = (tuple(state[name].shape) if name in state else None for state in (read, expected))
        if shape != wanted:
            raise UserError(
                f"{path} is from another network: {name} is {_shape(shape)} there, but {_shape(wanted)} here."
            )


def _changed_part(path: Path) -> str | None:
    """Return the name of a part that is not as torch wrote it; None if there is none.

    torch ignores its own checksums, and reads a part that is marked as a folder as zeros.
    """
    with zipfile.ZipFile(path) as archive:
        marked = (part.filename for part in archive.infolist() if part.external_attr or part.compress_type)
        return next(marked, None) or archive.testzip()


def _shape(shape: tuple[int, ...] | None) -> str:
    return "missing" if shape is None else "x".join(map(str, shape)) or "a number"


def _size(content: Any) -> int:
    if isinstance(content, Tensor):
        return content.nbytes
    parts = content.values() if isinstance(content, dict) else content if isinstance(content, list) else ()
    return sum(_size(part) for part in parts)


def _reason(error: Exception) -> str:
    """Return the operating system's reason, which torch wraps in errors of its own."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
        cause = cause.__cause__ or cause.__context__
    return first_line(error).rstrip(".")
