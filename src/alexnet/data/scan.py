"""The scan of a split before training: its unreadable files and pixel statistics, kept in the data cache.

The key is a hash of every file's path, size and modification time: the scan is repeated only when a file has
changed.
"""

from dataclasses import dataclass
from pathlib import Path

from alexnet.data.damage import DamageDetector
from alexnet.data.image import ImageError
from alexnet.data.image_list import ImageList
from alexnet.data.locks import exclusive
from alexnet.data.prefetch import prefetch_map
from alexnet.data.statistics import PixelSums, Statistics
from alexnet.errors import UserError
from alexnet.files import load_npz, reasons_csv, save_npz, write_text
from alexnet.terminal import console, progress_bar

DECODING_VERSION = 4  # increase it when decoding changes, so that what was decoded before is not used
INTACT = "intact_"  # begins the names of the arrays of `intact_statistics`
CHUNK = 32  # files that a thread decodes before it returns their sums


@dataclass(frozen=True)
class DatasetScan:
    """The scan of one split.

    `unreadable` maps rows to the reasons why they do not decode, `damaged` rows to the damage of files that
    decode all the same. `statistics` are of all images that decode, `intact_statistics` of those undamaged,
    None if there are none.
    """

    unreadable: dict[int, str]
    damaged: dict[int, str]
    statistics: Statistics
    intact_statistics: Statistics | None


def scan_images(images: ImageList, size: int, cache: Path, workers: int, description: str) -> DatasetScan:
    """Decode all of `images` at `size` once; later calls load the result from the folder `cache`.

    Raises `UserError` if none of the files is a readable image.
    """
    path = _cache_path(images, size, cache)
    with exclusive(path.with_suffix(".lock"), f"the scan of {images.root}", "data.cache"):
        if (cached := cached_scan(images, size, cache)) is not None:
            return cached
        scan = _scan(images, size, workers, description)
        _save(path, scan)
    return scan


def cached_scan(images: ImageList, size: int, cache: Path) -> DatasetScan | None:
    """Load the scan of `images` at `size` from the folder `cache`.

    None if it is missing, damaged, or written by another version.
    """
    try:
        return _read(_cache_path(images, size, cache))
    except (OSError, LookupError, TypeError, ValueError):
        return None


def _read(path: Path) -> DatasetScan:
    arrays, notes = load_npz(path)
    unreadable, damaged = (dict(notes[kind]) for kind in ("unreadable", "damaged"))
    statistics = Statistics(*(arrays[name] for name in Statistics._fields))
    intact = None if damaged else statistics
    if f"{INTACT}mean" in arrays:
        intact = Statistics(*(arrays[INTACT + name] for name in Statistics._fields))
    return DatasetScan(unreadable, damaged, statistics, intact)


def _save(path: Path, scan: DatasetScan) -> None:
    arrays = scan.statistics._asdict()
    if scan.damaged and scan.intact_statistics is not None:
        arrays |= {INTACT + name: array for name, array in scan.intact_statistics._asdict().items()}
    notes = {"unreadable": list(scan.unreadable.items()), "damaged": list(scan.damaged.items())}
    save_npz(path, arrays, notes)


def _cache_path(images: ImageList, size: int, cache: Path) -> Path:
    return cache / f"{images.key()}-{size}-{DECODING_VERSION}.npz"


def _scan(images: ImageList, size: int, workers: int, description: str) -> DatasetScan:
    def decode(chunk: range) -> tuple[dict[int, str], PixelSums]:
        unreadable, part = {}, PixelSums(size)
        for row in order[chunk.start : chunk.stop].tolist():
            try:
                part.add(detector.decode(images, row, size))
            except ImageError as error:
                unreadable[row] = str(error)
        return unreadable, part

    unreadable: dict[int, str] = {}
    sums, order = PixelSums(size), images.storage_order()
    chunks = (range(start, min(start + CHUNK, len(images))) for start in range(0, len(images), CHUNK))
    detector = DamageDetector()
    with detector, progress_bar(description, len(images)) as advance:
        for reasons, part in prefetch_map(decode, chunks, workers, ahead=2 * workers):
            unreadable |= reasons
            sums.merge(part)
            advance(len(reasons) + part.images)
        detector.confirm(images, size)
        damaged = PixelSums(size)
        for row in detector.damaged:
            damaged.add(images.decode(row, size))
    if sums.images == 0:
        first = next((f"{images.path(row)}: {reason}" for row, reason in unreadable.items()), "no files")
        raise UserError(f"{images.root}: none of {len(images)} files is a readable image ({first}).")
    statistics = sums.statistics()
    sums.subtract(damaged)
    intact = sums.statistics() if sums.images else None
    return DatasetScan(dict(sorted(unreadable.items())), detector.damaged, statistics, intact)


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


def report_damaged(damaged: dict[str, str], names: Path) -> None:
    """Print how many images decode although their files are damaged; the file `names` lists all of them."""
    path, reason = next(iter(damaged.items()))
    console.print(
        f"{len(damaged):,} images decode although their files are damaged, such as {path}: {reason}. They are"
        f" used, and listed in {names}. To set them aside: data.exclude_damaged=true",
        markup=False,
    )


def _above(share: float) -> str:
    """Round a fraction up to few digits."""
    for digits in range(1, 6):
        if (rounded := round(share + 0.5 * 10**-digits, digits)) <= 2 * share:
            return f"{min(rounded, 1):g}"
    return "1"
