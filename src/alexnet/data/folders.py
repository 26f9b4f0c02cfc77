"""Lists of images from class folders and from tar archives."""

import hashlib
import os
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from alexnet.data.image import EXTENSIONS
from alexnet.data.image_list import Entry, ImageList
from alexnet.errors import UserError
from alexnet.terminal import progress_bar

TRAIN_NAMES = ("train",)
VAL_NAMES = ("val", "validation", "valid", "test")


@dataclass
class Walk:
    """Looks through folders under `root`, and remembers when what it looked at had last changed."""

    root: Path
    seen: dict[str, int] = field(default_factory=dict)  # path from the root -> ns

    def subfolders(self, folder: Path) -> list[str]:
        """Names of the folders in a folder."""
        self.note(folder)
        return sorted(entry.name for entry in os.scandir(folder) if entry.is_dir())

    def files(self, folder: Path, label: int = -1, *, deep: bool = True) -> Iterator[Entry]:
        """Files in a folder, and in the folders below it; without following links to folders."""
        self.note(folder)
        inside = folder.relative_to(self.root).as_posix()
        prefix = "" if inside == "." else f"{inside}/"
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    if deep:
                        yield from self.files(Path(entry.path), label)
                    continue
                try:
                    status = entry.stat()
                    size, time = status.st_size, status.st_mtime_ns
                except OSError:  # a link to nowhere: reading it will say so
                    size, time = 0, 0
                yield Entry(prefix + entry.name, label, size, time)

    def note(self, path: Path) -> None:
        """Remember when a folder, or a file that the list depends on, last changed."""
        self.seen[os.path.relpath(path, self.root)] = path.stat().st_mtime_ns


def is_image(path: str) -> bool:
    """Whether a file is an image by its name; hidden files are none."""
    name = os.path.basename(path)  # noqa: PTH119 - a Path for each of a million files is slow
    return not name.startswith(".") and os.path.splitext(name)[1].lower() in EXTENSIONS  # noqa: PTH122


def list_folders(walk: Walk, val_fraction: float) -> tuple[ImageList, ImageList]:
    """Training and validation images under the root.

    Takes root/train/<class>/ with root/val/<class>/ (or validation, valid, test); or
    root/<class>/, or a train folder alone, of which `val_fraction` of each class is held out,
    chosen by a hash of the path, so that adding files moves few of the others.

    Raises `UserError` for a class without images, a class unknown in training.
    """
    root = walk.root
    train_folder = next((root / name for name in TRAIN_NAMES if (root / name).is_dir()), None)
    val_folder = next((root / name for name in VAL_NAMES if (root / name).is_dir()), None)
    if train_folder is None or val_folder is None:
        return _hold_out(list_class_folders(walk, train_folder or root), val_fraction)
    train = list_class_folders(walk, train_folder)
    return train, list_class_folders(walk, val_folder, train.classes)


def list_class_folders(walk: Walk, folder: Path, classes: tuple[str, ...] | None = None) -> ImageList:
    """The images of one split: folder/<class>/<file>. `classes` are those that there may be."""
    found = tuple(walk.subfolders(folder))
    if not found:
        raise UserError(f"{folder}: no class folders. Expected {folder}/<class>/<image files>.")
    unknown = sorted(set(found) - set(classes or found))
    if unknown:
        raise UserError(f"{folder}/{unknown[0]}: a class that is not among the training images.")
    classes = classes or found
    labels = {name: label for label, name in enumerate(classes)}
    entries: list[Entry] = []
    ignored = [file.path for file in walk.files(folder, deep=False)]
    for name in found:
        files = list(walk.files(folder / name, labels[name]))
        images = [file for file in files if is_image(file.path)]
        if not images:
            raise UserError(f"{folder / name}: no images in this class folder. Add some, or remove it.")
        entries += images
        ignored += [file.path for file in files if not is_image(file.path)]
    return ImageList.of(walk.root, classes, entries, sorted(ignored))


def _hold_out(images: ImageList, fraction: float) -> tuple[ImageList, ImageList]:
    """Split each class by the order of its paths' hashes; at least one image on either side."""
    held = np.zeros(len(images), np.bool_)
    for label, name in enumerate(images.classes):
        rows = np.flatnonzero(images.labels == label)
        if len(rows) < 2:
            raise UserError(f"Class '{name}' in {images.root}: one image cannot be split into train and val.")
        count = min(max(1, round(fraction * len(rows))), len(rows) - 1)
        hashes = [hashlib.sha256(images.paths[row]).digest() for row in rows]
        held[rows[sorted(range(len(rows)), key=hashes.__getitem__)[:count]]] = True
    return images.select(~held), replace(images.select(held), ignored=())


MEGABYTE = 1_000_000


def tar_members(root: Path, tars: list[Path]) -> list[Entry]:
    """The files in uncompressed tars, and in the tars in them, without labels.

    Each is named <tar>/<member>, those of an inner tar <tar>/<inner tar less its .tar>/<member>.
    Raises `UserError` for a tar that is cut off, or none.
    """
    entries = []
    sizes = [tar.stat().st_size // MEGABYTE for tar in tars]
    with progress_bar("Looking through the tars, MB", sum(sizes)) as advance:
        for path, size in zip(tars, sizes, strict=True):
            name, seen = path.relative_to(root).as_posix(), 0
            tar_length = len(os.fsencode(name))
            try:
                with tarfile.open(path, "r:") as tar:
                    for member, offset in _tar_files(tar):
                        entries.append(Entry(f"{name}/{member.name}", -1, member.size, 0, offset, tar_length))
                        advance(offset // MEGABYTE - seen)
                        seen = offset // MEGABYTE
            except (tarfile.TarError, OSError) as error:
                raise UserError(f"{path}: not a whole tar archive ({error}). Fetch it again.") from error
            advance(size - seen)
    return entries


def _tar_files(tar: tarfile.TarFile) -> Iterator[tuple[tarfile.TarInfo, int]]:
    """Each file, and where in the outermost tar its bytes begin."""
    for member in tar:
        tar.members = []  # type: ignore[attr-defined]  # it would keep them all
        member.name = member.name.removeprefix("./")
        if member.isfile() and member.name.endswith(".tar"):
            with tarfile.open(fileobj=tar.extractfile(member), mode="r:") as inner:
                for inside, offset in _tar_files(inner):
                    inside.name = f"{member.name.removesuffix('.tar')}/{inside.name}"
                    yield inside, member.offset_data + offset
        elif member.isfile():
            yield member, member.offset_data
