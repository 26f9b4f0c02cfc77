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
from typing import NamedTuple

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from alexnet.data.image import ImageError, read_image
from alexnet.data.listing import ImageList
from alexnet.errors import UserError
from alexnet.progress import progress_bar

VERSION = 1  # raise it when decoding changes, so that old surveys are made again
CHUNK = 32  # files decoded by a thread before it hands over its sums


@dataclass(frozen=True)
class Survey:
    """What a pass over one split found. Pixels are RGB, 0-255.

    `mean` (3, size, size) is the mean image; `eigenvectors` (3, 3) holds the principal
    components of the RGB covariance over all pixels, one a column, largest first;
    `eigenvalues` (3,) are their variances in squared grey levels.
    """

    excluded: dict[str, str]
    mean: NDArray[np.float32]
    eigenvectors: NDArray[np.float32]
    eigenvalues: NDArray[np.float32]


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
    pixel_sum = np.zeros((3, size, size))
    product_sum = np.zeros((3, 3))
    chunks = [images.paths[start : start + CHUNK] for start in range(0, len(images), CHUNK)]
    with ThreadPoolExecutor(workers) as pool, progress_bar(description, len(images)) as advance:
        for part in pool.map(partial(_read_chunk, images.root, size), chunks):
            excluded |= part.excluded
            pixel_sum += part.pixel_sum
            product_sum += part.product_sum
            advance(CHUNK)
    count = len(images) - len(excluded)
    if count == 0:
        first = f"{images.paths[0]}: {excluded[images.paths[0]]}" if images.paths else "no files"
        raise UserError(f"{images.root}: none of {len(images)} files is a readable image ({first}).")
    channel_mean = pixel_sum.mean((1, 2)) / count
    covariance = product_sum / (count * size**2) - np.outer(channel_mean, channel_mean)
    eigenvalues, eigenvectors = np.linalg.eigh(covariance)
    return Survey(
        excluded,
        (pixel_sum / count).astype(np.float32),
        eigenvectors[:, ::-1].astype(np.float32),
        eigenvalues[::-1].clip(0).astype(np.float32),
    )


class _Part(NamedTuple):
    """Sums over some files. Whole numbers below 2**53: exact, so that their order changes nothing."""

    excluded: dict[str, str]
    pixel_sum: NDArray[np.float64]
    product_sum: NDArray[np.float64]


def _read_chunk(root: Path, size: int, paths: tuple[str, ...]) -> _Part:
    part = _Part({}, np.zeros((3, size, size)), np.zeros((3, 3)))
    for path in paths:
        try:
            square = read_image(root / path, size)
        except ImageError as error:
            part.excluded[path] = str(error)
            continue
        flat = square.reshape(3, -1).astype(np.float64)
        np.add(part.pixel_sum, square, out=part.pixel_sum)
        np.add(part.product_sum, flat @ flat.T, out=part.product_sum)
    return part


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
    with aside.open("wb") as file:
        np.savez(
            file,
            excluded=np.frombuffer(json.dumps(made.excluded).encode(), np.uint8),
            mean=made.mean,
            eigenvectors=made.eigenvectors,
            eigenvalues=made.eigenvalues,
        )
    aside.replace(path)


def _load(path: Path) -> Survey:
    with np.load(path) as arrays:
        excluded = json.loads(arrays["excluded"].tobytes())
        return Survey(excluded, arrays["mean"], arrays["eigenvectors"], arrays["eigenvalues"])
