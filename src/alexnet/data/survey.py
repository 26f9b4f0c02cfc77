"""One pass over a split before training: which files do not decode, and how its pixels are spread.

The result is kept in the data cache under a key of every file's path, size and time of change,
so that the pass is repeated only when a file has changed.
"""

import hashlib
import json
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from filelock import FileLock

from alexnet.data.image import ImageError, read_image
from alexnet.data.listing import ImageList
from alexnet.data.statistics import PixelSums, Statistics
from alexnet.errors import UserError
from alexnet.progress import progress_bar

VERSION = 1  # raise it when decoding changes, so that old surveys are made again
CHUNK = 32  # files decoded by a thread before it hands over its sums


@dataclass(frozen=True)
class Survey:
    """What a pass over one split found: files that do not decode, and why; how the pixels are spread."""

    excluded: dict[str, str]
    statistics: Statistics


def survey(images: ImageList, size: int, cache: Path, workers: int, description: str) -> Survey:
    """The survey of `images` decoded at `size`, from the cache where it is there.

    Raises `UserError` where not one file is a readable image.
    """
    path = cache / f"{_key(images, size)}.npz"
    try:
        cache.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"data.cache={cache}: cannot be made ({error.strerror}). Give another.") from error
    with FileLock(path.with_suffix(".lock")):  # of several processes one reads, the others wait
        if path.is_file():
            return _load(path)
        made = _pass(images, size, workers, description)
        _save(made, path)
    return made


def _pass(images: ImageList, size: int, workers: int, description: str) -> Survey:
    excluded: dict[str, str] = {}
    sums = PixelSums(size)
    chunks = [images.paths[start : start + CHUNK] for start in range(0, len(images), CHUNK)]
    with ThreadPoolExecutor(workers) as pool, progress_bar(description, len(images)) as advance:
        for reasons, part in pool.map(partial(_read_chunk, images.root, size), chunks):
            excluded |= reasons
            sums.join(part)
            advance(CHUNK)
    if sums.images == 0:
        first = f"{images.paths[0]}: {excluded[images.paths[0]]}" if images.paths else "no files"
        raise UserError(f"{images.root}: none of {len(images)} files is a readable image ({first}).")
    return Survey(excluded, sums.statistics())


def _read_chunk(root: Path, size: int, paths: tuple[str, ...]) -> tuple[dict[str, str], PixelSums]:
    excluded, sums = {}, PixelSums(size)
    for path in paths:
        try:
            sums.add(read_image(root / path, size))
        except ImageError as error:
            excluded[path] = str(error)
    return excluded, sums


def _key(images: ImageList, size: int) -> str:
    digest = hashlib.sha256(f"{VERSION} {size} {images.root.resolve()}\n".encode())
    for path in images.paths:
        try:
            status = (images.root / path).stat()
            digest.update(f"{path}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
        except OSError:
            digest.update(f"{path}\0gone\n".encode())
    return digest.hexdigest()[:24]


def _save(made: Survey, path: Path) -> None:
    """Written aside and renamed: a half-written survey is never read."""
    aside = path.with_suffix(f".{os.getpid()}.partial")
    excluded = np.frombuffer(json.dumps(made.excluded).encode(), np.uint8)
    with aside.open("wb") as file:
        np.savez(file, excluded=excluded, **made.statistics._asdict())
    aside.replace(path)


def _load(path: Path) -> Survey:
    with np.load(path) as arrays:
        excluded = json.loads(arrays["excluded"].tobytes())
        return Survey(excluded, Statistics(*(arrays[name] for name in Statistics._fields)))
