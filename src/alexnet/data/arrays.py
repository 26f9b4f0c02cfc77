"""Named arrays, and what has to be said of them, in one .npz file."""

import json
import os
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

Arrays = dict[str, NDArray[Any]]

NOTES = "notes"


def save_arrays(path: Path, arrays: Arrays, notes: Any = None) -> None:
    """Write arrays and JSON-like notes; aside and renamed, so that half a file is never read."""
    aside = path.with_suffix(f".{os.getpid()}.partial")
    text = np.frombuffer(json.dumps(notes).encode(), np.uint8)
    with aside.open("wb") as file:
        np.savez(file, allow_pickle=False, **{NOTES: text}, **arrays)
    aside.replace(path)


def load_arrays(path: Path) -> tuple[Arrays, Any]:
    """Arrays and notes. Raises `OSError` or `ValueError` for what `save_arrays` did not write."""
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except BadZipFile as error:
        raise ValueError(f"{path.name} is cut off") from error
    return arrays, json.loads(arrays.pop(NOTES, np.array([], np.uint8)).tobytes() or "null")
