"""One pass over a split before training: which files do not decode, and how its pixels are spread.

The result is kept in the data cache under a key of every file's path, size and time of change,
so that the pass is repeated only when a file has changed.
"""

from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from alexnet.data.arrays import load_arrays, save_arrays
from alexnet.data.image import ImageError
from alexnet.data.image_list import ImageList
from alexnet.data.statistics import PixelSums, Statistics
from alexnet.data.threads import map_ahead
from alexnet.errors import UserError
from alexnet.progress import progress_bar

VERSION = 2  # raise it when decoding changes, so that old surveys are made again
CHUNK = 32  # files decoded by a thread before it hands over its sums


@dataclass(frozen=True)
class Survey:
    """What a pass over one split found: which images do not decode, and why; how the pixels are spread."""

    unreadable: dict[int, str]
    statistics: Statistics


def survey(images: ImageList, size: int, cache: Path, workers: int, description: str) -> Survey:
    """The survey of `images` decoded at `size`, from the folder `cache` where it is there.

    Raises `UserError` where not one file is a readable image.
    """
    path = _place(images, size, cache)
    with FileLock(path.with_suffix(".lock")):  # of several processes one reads, the others wait
        if (known := known_survey(images, size, cache)) is not None:
            return known
        made = _pass(images, size, workers, description)
        save_arrays(path, made.statistics._asdict(), list(made.unreadable.items()))
    return made


def known_survey(images: ImageList, size: int, cache: Path) -> Survey | None:
    """The survey of `images` that is in the folder `cache`; None where it has not been made yet."""
    path = _place(images, size, cache)
    if not path.is_file():
        return None
    arrays, unreadable = load_arrays(path)
    return Survey(dict(unreadable), Statistics(**arrays))


def _place(images: ImageList, size: int, cache: Path) -> Path:
    return cache / f"{images.key()}-{size}-{VERSION}.npz"


def _pass(images: ImageList, size: int, workers: int, description: str) -> Survey:
    def read(rows: range) -> tuple[dict[int, str], PixelSums]:
        unreadable, part = {}, PixelSums(size)
        for row in rows:
            try:
                part.add(images.square(row, size))
            except ImageError as error:
                unreadable[row] = str(error)
        return unreadable, part

    unreadable: dict[int, str] = {}
    sums = PixelSums(size)
    chunks = [range(start, min(start + CHUNK, len(images))) for start in range(0, len(images), CHUNK)]
    with progress_bar(description, len(images)) as advance:
        for reasons, part in map_ahead(read, chunks, workers, ahead=2 * workers):
            unreadable |= reasons
            sums.join(part)
            advance(len(reasons) + part.images)
    if sums.images == 0:
        first = next((f"{images.path(row)}: {reason}" for row, reason in unreadable.items()), "no files")
        raise UserError(f"{images.root}: none of {len(images)} files is a readable image ({first}).")
    return Survey(unreadable, sums.statistics())
