"""Make a pack: decode every image of a data set once, and measure its colours on the way."""

import json
import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

import numpy as np
from filelock import FileLock
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from alexnet.config import PackFormat, PrepareConfig
from alexnet.data.image import ImageError, encode_jpeg
from alexnet.data.image_list import ImageList, check_classes, fingerprint
from alexnet.data.imagenet import class_names
from alexnet.data.listing import SPLITS, list_images
from alexnet.data.loader import prefetch_map
from alexnet.data.locations import PACK_VERSION, pack_folder
from alexnet.data.pack_reader import UNREADABLE, Pack, check_current, open_pack
from alexnet.data.scan import check_unreadable
from alexnet.data.sources import PARTIAL, ensure_downloaded
from alexnet.data.statistics import PixelSums
from alexnet.errors import UserError
from alexnet.files import load_npz, save_npz
from alexnet.terminal import console, progress_bar

CHUNK = 32  # images that a thread decodes before it hands them over
SAVE_SECONDS = 5.0  # how much work a kill may cost
JPEG_BYTES_A_PIXEL = 0.5  # more than photographs take at the default quality


@dataclass
class _Progress:
    """How far one split is: rows below `done` are on disk."""

    sums: PixelSums
    done: int = 0
    unreadable: dict[int, str] = field(default_factory=dict)

    def save(self, path: Path) -> None:
        arrays = {"pixels": self.sums.pixels, "products": self.sums.products}
        notes = {"done": self.done, "images": self.sums.images, "unreadable": list(self.unreadable.items())}
        save_npz(path, arrays, notes)

    @classmethod
    def load(cls, path: Path, size: int) -> "_Progress":
        sums = PixelSums(size)
        if not path.is_file():
            return cls(sums)
        arrays, notes = load_npz(path)
        sums.pixels, sums.products, sums.images = arrays["pixels"], arrays["products"], notes["images"]
        return cls(sums, notes["done"], dict(notes["unreadable"]))


def make_pack(config: PrepareConfig) -> Pack:
    """Decode a data set into its pack, or open the pack that is there.

    All cores work. A run that was killed goes on where it stopped; the folder has its name only
    when it is whole. Raises `UserError` for data that cannot be trained on, too little disk, or a
    pack of another format in the same place.
    """
    folder = pack_folder(config.data)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = f"cannot be made ({error.strerror}). Give another place: data.pack=<folder>."
        raise UserError(f"{folder.parent}: {reason}") from error
    with FileLock(folder.with_name(f"{folder.name}.lock")):
        if not folder.is_dir():
            _make(config, folder)
    pack = open_pack(folder)
    check_current(pack, asked_for=config.data.pack is not None)
    if pack.format is not config.format:
        raise UserError(
            f"{folder}: a pack of format {pack.format.value} is there already. Use it, remove it,"
            " or give another place: data.pack=<folder>."
        )
    return pack


def _make(config: PrepareConfig, folder: Path) -> None:
    """Everything is written to a folder aside, which is renamed in the end."""
    workers = os.cpu_count() or 1
    root = ensure_downloaded(config.data, workers)
    found = list_images(config.data, root)
    lists = dict(zip(SPLITS, (found.train, found.val), strict=True))
    aside = folder.with_name(f"{folder.name}{PARTIAL}")
    _resume_or_begin(aside, config, lists)
    unreadable: dict[str, str] = {}
    kept = []
    for name, images in lists.items():
        progress = _write_split(aside, name, images, config, workers)
        unreadable |= {images.path(row): reason for row, reason in progress.unreadable.items()}
        kept.append(images.without(progress.unreadable))
        if name == "train":
            check_classes(kept[0])
            _write_statistics(aside, progress.sums)
    reasons = folder.with_name(f"{folder.name}.unreadable.csv")
    images_listed = sum(map(len, lists.values()))
    check_unreadable(unreadable, images_listed, config.data.max_unreadable, str(root), names=reasons)
    if not len(kept[1]):
        raise UserError(f"{root}: none of the validation files is a readable image.")
    ignored = {path: "not an image by its name" for images in lists.values() for path in images.ignored}
    # pixels that were encoded again are others, and so are the results
    encoding = f"-jpeg{config.quality}" if config.format is PackFormat.jpeg else ""
    manifest = {
        "version": PACK_VERSION,
        "format": config.format.value,
        "size": config.data.resize_size,
        "images": {name: len(images) for name, images in lists.items()},
        "unreadable": len(unreadable),
        "fingerprint": fingerprint(*kept) + encoding,
        "root": str(root),
        "excluded": ignored | unreadable,
        "classes": found.train.classes,
        "class_names": [class_names().get(name, name) for name in found.train.classes],
        "seen": found.seen,
    }
    (aside / "manifest.json").write_text(json.dumps(manifest, indent=1), encoding="utf-8")
    for leftover in ("plan.json", *(f"{name}_progress.npz" for name in SPLITS)):
        (aside / leftover).unlink()
    aside.rename(folder)
    reasons.unlink(missing_ok=True)


def _resume_or_begin(aside: Path, config: PrepareConfig, lists: dict[str, ImageList]) -> None:
    """Begin with an empty folder, unless an earlier attempt at the same pack left one."""
    size = config.data.resize_size
    plan = {
        "version": PACK_VERSION,
        "size": size,
        "format": config.format.value,
        "quality": config.quality,
        "images": {name: images.key() for name, images in lists.items()},
    }
    written = aside / "plan.json"
    if written.is_file() and json.loads(written.read_text(encoding="utf-8")) == plan:
        console.print(f"Going on with {aside}")
        return
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir()
    bytes_a_pixel = 3.0 if config.format is PackFormat.raw else JPEG_BYTES_A_PIXEL
    needed = sum(map(len, lists.values())) * bytes_a_pixel * size**2
    free = shutil.disk_usage(aside).free
    if needed > free:
        smaller = ", or take less with format=jpeg" if config.format is PackFormat.raw else ""
        raise UserError(
            f"The pack needs about {needed / 1e9:.1f} GB in {aside.parent}, where {free / 1e9:.1f} GB are"
            f" free. Give another place: data.pack=<folder>{smaller}."
        )
    for name, images in lists.items():
        np.save(aside / f"{name}_names.npy", images.paths)
    written.write_text(json.dumps(plan), encoding="utf-8")


def _write_split(aside: Path, name: str, images: ImageList, config: PrepareConfig, workers: int) -> _Progress:
    """Decode and store what is not yet there."""
    size = config.data.resize_size
    saved = aside / f"{name}_progress.npz"
    progress = _Progress.load(saved, size)
    writer = _writer(aside, name, len(images), config, progress.done)

    def decode(rows: range) -> tuple[range, list[bytes], dict[int, str], PixelSums]:
        encoded, unreadable, part = [], {}, PixelSums(size)
        for row in rows:
            try:
                square = images.square(row, size)
            except ImageError as error:
                unreadable[row] = str(error)
                encoded.append(b"")
            else:
                part.add(square)
                encoded.append(writer.encode(row, square))
        return rows, encoded, unreadable, part

    starts = range(progress.done, len(images), CHUNK)
    chunks = [range(start, min(start + CHUNK, len(images))) for start in starts]
    last_saved = monotonic()
    with progress_bar(f"Packing {name}", len(images), progress.done) as advance:
        for rows, encoded, unreadable, part in prefetch_map(decode, chunks, workers, ahead=2 * workers):
            writer.append(rows, encoded)
            progress.unreadable |= unreadable
            progress.sums.join(part)
            progress.done = rows.stop
            advance(len(rows))
            if monotonic() - last_saved > SAVE_SECONDS:
                writer.flush()
                progress.save(saved)
                last_saved = monotonic()
    writer.close()
    labels = images.labels.copy()
    labels[list(progress.unreadable)] = UNREADABLE
    np.save(aside / f"{name}_labels.npy", labels)
    progress.save(saved)
    return progress


class _RawWriter:
    """Pixels, each image at its place: threads write as soon as they have decoded."""

    def __init__(self, path: Path, images: int, size: int) -> None:
        if not path.is_file():
            open_memmap(path, "w+", np.uint8, (images, 3, size, size))
        self.offset = np.load(path, mmap_mode="r").offset
        self.file = path.open("r+b", buffering=0)

    def encode(self, row: int, square: NDArray[np.uint8]) -> bytes:
        pixels = np.ascontiguousarray(square)
        os.pwrite(self.file.fileno(), pixels.data, self.offset + row * pixels.nbytes)
        return b""

    def append(self, rows: range, encoded: list[bytes]) -> None:
        """Nothing: it is there."""

    def flush(self) -> None:
        os.fsync(self.file.fileno())

    def close(self) -> None:
        self.flush()
        self.file.close()


class _JpegWriter:
    """JPEG files one after the other, in order."""

    def __init__(self, path: Path, ends: Path, images: int, quality: int, done: int) -> None:
        self.quality = quality
        if not ends.is_file():
            open_memmap(ends, "w+", np.int64, (images,))
        self.ends = np.load(ends, mmap_mode="r+")
        self.end = int(self.ends[done - 1]) if done else 0
        self.file = path.open("r+b" if done else "wb")
        self.file.seek(self.end)

    def encode(self, row: int, square: NDArray[np.uint8]) -> bytes:
        return encode_jpeg(square, self.quality)

    def append(self, rows: range, encoded: list[bytes]) -> None:
        for row, data in zip(rows, encoded, strict=True):
            self.file.write(data)
            self.end += len(data)
            self.ends[row] = self.end

    def flush(self) -> None:
        self.file.flush()
        os.fsync(self.file.fileno())
        self.ends.flush()

    def close(self) -> None:
        self.flush()
        self.file.close()


def _writer(
    aside: Path, name: str, images: int, config: PrepareConfig, done: int
) -> _RawWriter | _JpegWriter:
    if config.format is PackFormat.raw:
        return _RawWriter(aside / f"{name}_images.npy", images, config.data.resize_size)
    return _JpegWriter(
        aside / f"{name}_images.jpegs", aside / f"{name}_ends.npy", images, config.quality, done
    )


def _write_statistics(aside: Path, sums: PixelSums) -> None:
    statistics = sums.statistics()
    measured = statistics._asdict() | {
        "channel_means": statistics.channel_means,
        "standard_deviations": statistics.standard_deviations,
    }
    save_npz(aside / "statistics.npz", measured)
