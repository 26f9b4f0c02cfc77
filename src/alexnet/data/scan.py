"""The scan of a split before training: its unreadable files and pixel statistics, kept in the data cache.

The key is a hash of every file's path, size and modification time: the scan is repeated only when a file has
changed.
"""

from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from alexnet.data.image import ImageError
from alexnet.data.image_list import ImageList
from alexnet.data.loader import prefetch_map
from alexnet.data.statistics import PixelSums, Statistics
from alexnet.errors import UserError
from alexnet.files import load_npz, reasons_csv, save_npz, write_text
from alexnet.terminal import progress_bar

VERSION = 3  # increase it when decoding changes, so that old scans are repeated
CHUNK = 32  # files that a thread decodes before it returns their sums


@dataclass(frozen=True)
class DatasetScan:
    """The scan of one split: `unreadable` maps rows to the reasons why they do not decode."""

    unreadable: dict[int, str]
    statistics: Statistics


def scan_images(images: ImageList, size: int, cache: Path, workers: int, description: str) -> DatasetScan:
    """Decode all of `images` at `size` once; later calls load the result from the folder `cache`.

    Raises `UserError` if none of the files is a readable image.
    """
    path = _cache_path(images, size, cache)
    with FileLock(path.with_suffix(".lock")):  # of several processes one scans, the others wait
        if (cached := cached_scan(images, size, cache)) is not None:
            return cached
        scan = _scan(images, size, workers, description)
        save_npz(path, scan.statistics._asdict(), list(scan.unreadable.items()))
    return scan


def cached_scan(images: ImageList, size: int, cache: Path) -> DatasetScan | None:
    """Load the scan of `images` at `size` from the folder `cache`; None if it is missing or damaged."""
    try:
        arrays, unreadable = load_npz(_cache_path(images, size, cache))
    except (OSError, ValueError):
        return None
    return DatasetScan(dict(unreadable), Statistics(**arrays))


def _cache_path(images: ImageList, size: int, cache: Path) -> Path:
    return cache / f"{images.key()}-{size}-{VERSION}.npz"


def _scan(images: ImageList, size: int, workers: int, description: str) -> DatasetScan:
    def decode(rows: range) -> tuple[dict[int, str], PixelSums]:
        unreadable, part = {}, PixelSums(size)
        for row in rows:
            try:
                part.add(images.decode(row, size))
            except ImageError as error:
                unreadable[row] = str(error)
        return unreadable, part

    unreadable: dict[int, str] = {}
    sums = PixelSums(size)
    chunks = [range(start, min(start + CHUNK, len(images))) for start in range(0, len(images), CHUNK)]
    with progress_bar(description, len(images)) as advance:
        for reasons, part in prefetch_map(decode, chunks, workers, ahead=2 * workers):
            unreadable |= reasons
            sums.merge(part)
            advance(len(reasons) + part.images)
    if sums.images == 0:
        first = next((f"{images.path(row)}: {reason}" for row, reason in unreadable.items()), "no files")
        raise UserError(f"{images.root}: none of {len(images)} files is a readable image ({first}).")
    return DatasetScan(unreadable, sums.statistics())


def check_unreadable(
    unreadable: dict[str, str],
    images: int,
    most: float,
    origin: str,
    *,
    earlier: int = 0,
    names: Path | None = None,
) -> None:
    """Raise `UserError` if more than the fraction `most` of `images` cannot be read.

    `unreadable` maps paths to reasons; all of them are written to the CSV file `names` first. `earlier`
    counts further images that were set aside before. The message begins with `origin`.
    """
    count = len(unreadable) + earlier
    if not unreadable or count <= most * images:
        return
    if names is not None:
        write_text(names, reasons_csv(unreadable))
    path, reason = next(iter(unreadable.items()))
    listed = f" All are listed in {names}." if names and len(unreadable) > 1 else ""
    share = count / images
    raise UserError(
        f"{origin}: {count:,} of {images:,} images ({100 * share:.2g}%) cannot be read, more than"
        f" data.max_unreadable={most:g}. One is {path}: {reason}.{listed} Repair or remove them, or allow"
        f" more: data.max_unreadable={_above(share)}."
    )


def _above(share: float) -> str:
    """Round a fraction up to few digits."""
    for digits in range(1, 6):
        if (rounded := round(share + 0.5 * 10**-digits, digits)) <= 2 * share:
            return f"{min(rounded, 1):g}"
    return "1"
