"""Make packs: decode every image of a data set once, and compute its statistics at the same time."""

import json
import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
from numpy.lib.format import write_array_header_1_0

from alexnet.config import PackFormat, PrepareConfig
from alexnet.data.damage import DamageDetector
from alexnet.data.fetching import ensure_fetched
from alexnet.data.image import UNREADABLE, ImageError
from alexnet.data.image_list import ImageList, check_classes, fingerprint
from alexnet.data.imagenet_classes import class_names
from alexnet.data.listing import SPLITS, list_images
from alexnet.data.locations import PACK_VERSION, pack_folder
from alexnet.data.locks import exclusive
from alexnet.data.pack_reader import Pack, check_current, open_pack
from alexnet.data.pack_storage import open_writer
from alexnet.data.prefetch import prefetch_map
from alexnet.data.scan import check_unreadable
from alexnet.data.statistics import PixelSums
from alexnet.errors import UserError, explain_failure
from alexnet.files import PARTIAL, load_npz, save_npz, write_json
from alexnet.terminal import console, progress_bar

CHUNK = 32  # images that a thread decodes before it returns them
NAMES_AT_A_TIME = 65_536
SAVE_SECONDS = 5.0  # interval at which progress is saved
JPEG_BYTES_PER_PIXEL = 0.5  # more than photographs take at the default quality
PLAN = "plan.json"  # description of the pack that an unfinished one is to become


@dataclass
class _Progress:
    """The progress of one split: the first `done` images, in the order of packing, are on disk."""

    sums: PixelSums
    done: int = 0
    unreadable: dict[int, str] = field(default_factory=dict)
    detector: DamageDetector = field(default_factory=DamageDetector)

    def save(self, path: Path) -> None:
        arrays = {"pixels": self.sums.pixels, "products": self.sums.products}
        notes = {
            "done": self.done,
            "images": self.sums.images,
            "unreadable": list(self.unreadable.items()),
            "damaged": list(self.detector.damaged.items()),
            "suspects": list(self.detector.suspects),
        }
        save_npz(path, arrays, notes)

    @classmethod
    def load(cls, path: Path, size: int) -> "_Progress":
        sums = PixelSums(size)
        try:
            arrays, notes = load_npz(path)
            detector = DamageDetector(dict(notes["damaged"]), notes["suspects"])
            progress = cls(sums, notes["done"], dict(notes["unreadable"]), detector)
            sums.pixels, sums.products, sums.images = arrays["pixels"], arrays["products"], notes["images"]
        except (OSError, LookupError, TypeError, ValueError):  # none yet, damaged, or of another version
            return cls(PixelSums(size))
        return progress


def make_pack(config: PrepareConfig) -> Pack:
    """Decode a data set into its pack, or open an existing pack.

    All CPU cores are used. Packing that was killed is resumed where it stopped; the folder gets its name only
    when the pack is complete. Raises `UserError` for data that cannot be trained on, for too little disk
    space, or for a pack of another format in the same folder.
    """
    folder = pack_folder(config.data)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = f"cannot be created ({error.strerror}). Give another folder: data.pack=<folder>."
        raise UserError(f"{folder.parent}: {reason}") from error
    if not folder.is_dir():
        with exclusive(folder.with_name(f"{folder.name}.lock"), f"the pack {folder}", "data.pack"):
            if not folder.is_dir():
                _make_or_explain(config, folder)
    pack = open_pack(folder)
    check_current(pack, asked_for=config.data.pack is not None)
    if pack.format is not config.format:
        raise UserError(
            f"{folder} already holds a pack of format {pack.format.value}. Use it, remove it, or give another"
            " folder: data.pack=<folder>."
        )
    return pack


def _make_or_explain(config: PrepareConfig, folder: Path) -> None:
    """Make the pack. Raises `UserError` where the disk is full, or has become read-only."""
    try:
        _make(config, folder)
    except OSError as error:
        raise UserError(
            f"{explain_failure(error) or error} The pack is not complete; the same command continues it."
        ) from error


def _make(config: PrepareConfig, folder: Path) -> None:
    """Write the pack to a partial folder, which is renamed at the end."""
    workers = os.cpu_count() or 1
    root = ensure_fetched(config.data, workers)
    listing = list_images(config.data, root)
    lists = dict(zip(SPLITS, (listing.train, listing.val), strict=True))
    partial = folder.with_name(f"{folder.name}{PARTIAL}")
    _resume_or_begin(partial, config, lists)
    unreadable: dict[str, str] = {}
    damaged: dict[str, str] = {}
    kept = []
    for name, images in lists.items():
        progress = _write_split(partial, name, images, config, workers)
        unreadable |= images.by_path(progress.unreadable)
        damaged |= images.by_path(progress.detector.damaged)
        kept.append(images.without(progress.unreadable))
        if name == "train":
            check_classes(kept[0])
            _write_statistics(partial, progress.sums)
    reasons = folder.with_name(f"{folder.name}.unreadable.csv")
    images_listed = sum(map(len, lists.values()))
    check_unreadable(unreadable, images_listed, config.data.max_unreadable, str(root), names=reasons)
    if not len(kept[1]):
        raise UserError(f"{root}: none of the validation files is a readable image.")
    ignored = dict(listing.train.ignored) | dict(listing.val.ignored)
    # encoding changes the pixels, and so the results
    encoding = f"-jpeg{config.quality}" if config.format is PackFormat.jpeg else ""
    manifest = {
        "version": PACK_VERSION,
        "format": config.format.value,
        "size": config.data.resize_size,
        "images": {name: len(images) for name, images in lists.items()},
        "unreadable": len(unreadable),
        "fingerprint": fingerprint(*kept) + encoding,
        "val_source": listing.val_source,
        "held_out": listing.held_out,
        "root": str(root),
        "excluded": ignored | unreadable,
        "damaged": {path: reason for path, reason in damaged.items() if path not in unreadable},
        "classes": listing.train.classes,
        "class_names": [class_names().get(name, name) for name in listing.train.classes],
        "seen": listing.mtimes,
    }
    write_json(partial / "manifest.json", manifest)
    for leftover in (PLAN, *(f"{name}_progress.npz" for name in SPLITS)):
        (partial / leftover).unlink()
    partial.rename(folder)
    reasons.unlink(missing_ok=True)


def _resume_or_begin(partial: Path, config: PrepareConfig, lists: dict[str, ImageList]) -> None:
    """Start with an empty folder, unless an earlier attempt at the same pack can be resumed."""
    size = config.data.resize_size
    plan = {
        "version": PACK_VERSION,
        "size": size,
        "format": config.format.value,
        "quality": config.quality,
        "exclude_damaged": config.data.exclude_damaged,
        "images": {name: images.key() for name, images in lists.items()},
    }
    path = partial / PLAN
    if _read_plan(path) == plan:
        console.print(f"Resuming {partial}", markup=False)
        return
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    bytes_per_pixel = 3.0 if config.format is PackFormat.raw else JPEG_BYTES_PER_PIXEL
    needed = sum(map(len, lists.values())) * bytes_per_pixel * size**2
    free = shutil.disk_usage(partial).free
    if needed > free:
        smaller = ", or use format=jpeg, which is smaller" if config.format is PackFormat.raw else ""
        raise UserError(
            f"The pack needs about {needed / 1e9:.1f} GB in {partial.parent}, where {free / 1e9:.1f} GB is"
            f" free. Give another folder: data.pack=<folder>{smaller}."
        )
    for name, images in lists.items():
        _write_names(partial / f"{name}_names.npy", images)
    write_json(path, plan)


def _read_plan(path: Path) -> Any:
    """Return the content of plan.json, None for one that is missing or damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _write_names(path: Path, images: ImageList) -> None:
    """Write the paths as an array of byte strings of one length, of which few are in memory at a time."""
    longest = max((len(images.encoded_path(row)) for row in range(len(images))), default=1)
    dtype = np.dtype(f"S{longest}")
    header = {"descr": dtype.str, "fortran_order": False, "shape": (len(images),)}
    with path.open("wb") as file:
        write_array_header_1_0(file, header)
        for start in range(0, len(images), NAMES_AT_A_TIME):
            rows = range(start, min(start + NAMES_AT_A_TIME, len(images)))
            file.write(np.array([images.encoded_path(row) for row in rows], dtype).tobytes())


def _write_split(
    partial: Path, name: str, images: ImageList, config: PrepareConfig, workers: int
) -> _Progress:
    """Decode and store the images of a split that are not yet on disk."""
    size = config.data.resize_size
    saved = partial / f"{name}_progress.npz"
    progress = _Progress.load(saved, size)
    writer = open_writer(partial, name, len(images), config, progress.done)
    raw = config.format is PackFormat.raw
    order = images.storage_order() if raw else np.arange(len(images))  # JPEG files are appended

    def decode(chunk: range) -> tuple[range, list[bytes], dict[int, str], PixelSums]:
        encoded, unreadable, part = [], {}, PixelSums(size)
        for row in order[chunk.start : chunk.stop].tolist():
            try:
                image = progress.detector.decode(images, row, size)
            except ImageError as error:
                unreadable[row] = str(error)
                encoded.append(b"")
            else:
                part.add(image)
                encoded.append(writer.encode(row, image))
        return chunk, encoded, unreadable, part

    starts = range(progress.done, len(images), CHUNK)
    chunks = (range(start, min(start + CHUNK, len(images))) for start in starts)
    last_saved = monotonic()
    with progress.detector, progress_bar(f"Packing {name}", len(images), progress.done) as advance:
        for chunk, encoded, unreadable, part in prefetch_map(decode, chunks, workers, ahead=2 * workers):
            writer.append(chunk, encoded)
            progress.unreadable |= unreadable
            progress.sums.merge(part)
            progress.done = chunk.stop
            advance(len(chunk))
            if monotonic() - last_saved > SAVE_SECONDS:
                writer.flush()
                progress.save(saved)
                last_saved = monotonic()
        progress.detector.confirm(images, size)
        progress.save(saved)  # before damaged images are taken out, which every start does anew
        if config.data.exclude_damaged:
            for row in progress.detector.damaged:
                part = PixelSums(size)
                part.add(images.decode(row, size))
                progress.sums.subtract(part)
            progress.unreadable |= progress.detector.damaged
    writer.close()
    labels = images.labels.copy()
    labels[list(progress.unreadable)] = UNREADABLE
    np.save(partial / f"{name}_labels.npy", labels)
    return progress


def _write_statistics(partial: Path, sums: PixelSums) -> None:
    statistics = sums.statistics()
    arrays = statistics._asdict() | {
        "channel_means": statistics.channel_means,
        "standard_deviations": statistics.standard_deviations,
    }
    save_npz(partial / "statistics.npz", arrays)
