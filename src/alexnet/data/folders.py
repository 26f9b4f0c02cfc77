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
    """A walk through the folders under `root` that records the modification times of all that it reads."""

    root: Path
    mtimes: dict[str, int] = field(default_factory=dict)  # path relative to the root -> ns

    def subfolders(self, folder: Path) -> list[str]:
        """Return the names of the folders in a folder, sorted."""
        self.record(folder)
        return sorted(entry.name for entry in os.scandir(folder) if entry.is_dir())

    def files(self, folder: Path, label: int = -1, *, deep: bool = True) -> Iterator[Entry]:
        """Yield the files in a folder and, where `deep`, below it. Links to folders are not followed."""
        self.record(folder)
        relative = folder.relative_to(self.root).as_posix()
        prefix = "" if relative == "." else f"{relative}/"
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    if deep:
                        yield from self.files(Path(entry.path), label)
                    continue
                try:
                    status = entry.stat()
                    size, time = status.st_size, status.st_mtime_ns
                except OSError:  # a broken link, which is reported when it is read
                    size, time = 0, 0
                yield Entry(prefix + entry.name, label, size, time)

    def record(self, path: Path) -> None:
        """Record the modification time of a folder, or of a file that the list depends on."""
        self.mtimes[os.path.relpath(path, self.root)] = path.stat().st_mtime_ns


def is_image(path: str) -> bool:
    """Return whether a file name is that of an image; hidden files are not images."""
    name = os.path.basename(path)  # noqa: PTH119 - a Path for each of a million files is slow
    return not name.startswith(".") and os.path.splitext(name)[1].lower() in EXTENSIONS  # noqa: PTH122


def list_folders(walk: Walk, val_fraction: float) -> tuple[ImageList, ImageList]:
    """List the training and validation images under the root.

    The layout is root/train/<class>/ with root/val/<class>/ (or validation, valid, test); or root/<class>/,
    or a train folder alone, of which `val_fraction` of each class is held out, chosen by a hash of the path,
    so that adding files moves few of the others.

    Raises `UserError` for a class without images, or a validation class without training images.
    """
    root = walk.root
    train_folder = next((root / name for name in TRAIN_NAMES if (root / name).is_dir()), None)
    val_folder = next((root / name for name in VAL_NAMES if (root / name).is_dir()), None)
    if train_folder is None or val_folder is None:
        return _hold_out(list_class_folders(walk, train_folder or root), val_fraction)
    train = list_class_folders(walk, train_folder)
    return train, list_class_folders(walk, val_folder, train.classes)


def list_class_folders(walk: Walk, folder: Path, classes: tuple[str, ...] | None = None) -> ImageList:
    """List the images of one split, folder/<class>/<file>. `classes` are those allowed; None allows any."""
    names = tuple(walk.subfolders(folder))
    if not names:
        raise UserError(f"{folder}: no class folders. Expected {folder}/<class>/<image files>.")
    unknown = sorted(set(names) - set(classes or names))
    if unknown:
        raise UserError(f"{folder}/{unknown[0]}: there is no such class among the training images.")
    classes = classes or names
    labels = {name: label for label, name in enumerate(classes)}
    entries: list[Entry] = []
    ignored = [file.path for file in walk.files(folder, deep=False)]
    for name in names:
        files = list(walk.files(folder / name, labels[name]))
        images = [file for file in files if is_image(file.path)]
        if not images:
            raise UserError(f"{folder / name}: no images in this class folder. Add some, or remove it.")
        entries += images
        ignored += [file.path for file in files if not is_image(file.path)]
    return ImageList.of(walk.root, classes, entries, sorted(ignored))


def _hold_out(images: ImageList, fraction: float) -> tuple[ImageList, ImageList]:
    """Split each class by the hashes of its paths, with at least one image in each split."""
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
    """List the files in uncompressed tars, and in the tars inside them, without labels.

    Their paths are <tar>/<member>; in an inner tar <tar>/<inner tar without its .tar>/<member>.
    Raises `UserError` for a file that is not a complete tar archive.
    """
    entries = []
    sizes = [tar.stat().st_size // MEGABYTE for tar in tars]
    with progress_bar("Listing the tar archives, MB", sum(sizes)) as advance:
        for path, size in zip(tars, sizes, strict=True):
            name, done = path.relative_to(root).as_posix(), 0
            tar_length = len(os.fsencode(name))
            try:
                with tarfile.open(path, "r:") as tar:
                    for member, offset in _tar_files(tar):
                        entries.append(Entry(f"{name}/{member.name}", -1, member.size, 0, offset, tar_length))
                        advance(offset // MEGABYTE - done)
                        done = offset // MEGABYTE
            except (tarfile.TarError, OSError) as error:
                raise UserError(
                    f"{path}: not a complete tar archive ({error}). Download it again."
                ) from error
            advance(size - done)
    return entries


def _tar_files(tar: tarfile.TarFile) -> Iterator[tuple[tarfile.TarInfo, int]]:
    """Yield each file with the offset of its first byte in the outermost tar."""
    for member in tar:
        tar.members = []  # type: ignore[attr-defined]  # otherwise tarfile keeps all of them in memory
        member.name = member.name.removeprefix("./")
        if member.isfile() and member.name.endswith(".tar"):
            with tarfile.open(fileobj=tar.extractfile(member), mode="r:") as inner:
                for file, offset in _tar_files(inner):
                    file.name = f"{member.name.removesuffix('.tar')}/{file.name}"
                    yield file, member.offset_data + offset
        elif member.isfile():
            yield member, member.offset_data
