"""Which images there are, and of which class: trees with a folder for each class."""

import hashlib
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path

from alexnet.data.image import EXTENSIONS
from alexnet.errors import UserError

TRAIN_NAMES = ("train",)
VAL_NAMES = ("val", "validation", "valid", "test")


@dataclass(frozen=True)
class ImageList:
    """Images of one split: paths relative to `root`, and the class index of each.

    `ignored` holds the files that are no images by their names.
    """

    root: Path
    classes: tuple[str, ...]
    paths: tuple[str, ...]
    labels: tuple[int, ...]
    ignored: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.paths)

    def without(self, excluded: set[str]) -> "ImageList":
        """The list less some paths."""
        kept = [(p, c) for p, c in zip(self.paths, self.labels, strict=True) if p not in excluded]
        paths, labels = zip(*kept, strict=True) if kept else ((), ())
        return ImageList(self.root, self.classes, paths, labels, self.ignored)


def check_classes(images: ImageList) -> None:
    """Raise `UserError` where a class has no image to learn from, or there is only one class."""
    if len(images.classes) < 2:
        raise UserError(f"{images.root}: only one class, '{images.classes[0]}': nothing to tell apart.")
    empty = set(range(len(images.classes))) - set(images.labels)
    if empty:
        name = images.classes[min(empty)]
        raise UserError(f"Class '{name}' in {images.root}: none of its files is a readable image.")


def list_splits(root: Path, val_fraction: float) -> tuple[ImageList, ImageList]:
    """Training and validation images under `root`, sorted by class and path.

    Takes root/train/<class>/ with root/val/<class>/ (or validation, valid, test); or
    root/<class>/, or a train folder alone, of which `val_fraction` of each class is held out,
    chosen by a hash of the path, so that adding files moves few of the others.

    Raises `UserError` for a class without images, a class unknown in training.
    """
    train_folder = next((root / name for name in TRAIN_NAMES if (root / name).is_dir()), None)
    val_folder = next((root / name for name in VAL_NAMES if (root / name).is_dir()), None)
    if train_folder is None or val_folder is None:
        return _hold_out(_list_classes(root, train_folder or root), val_fraction)
    train = _list_classes(root, train_folder)
    return train, _list_classes(root, val_folder, train.classes)


def fingerprint(*splits: ImageList) -> str:
    """A hash of every image's relative path, class and size in bytes, the same on any machine."""
    digest = hashlib.sha256()
    for split in splits:
        for path, label in zip(split.paths, split.labels, strict=True):
            digest.update(f"{path}\0{split.classes[label]}\0{(split.root / path).stat().st_size}\n".encode())
        digest.update(b"\n")
    return digest.hexdigest()[:16]


def _list_classes(root: Path, folder: Path, classes: tuple[str, ...] | None = None) -> ImageList:
    found = tuple(sorted(entry.name for entry in folder.iterdir() if entry.is_dir()))
    if not found:
        raise UserError(f"{folder}: no class folders. Expected {folder}/<class>/<image files>.")
    unknown = sorted(set(found) - set(classes or found))
    if unknown:
        raise UserError(f"{folder}/{unknown[0]}: a class that is not among the training images.")
    classes = classes or found
    paths: list[str] = []
    labels: list[int] = []
    ignored = [str(entry.relative_to(root)) for entry in sorted(folder.iterdir()) if entry.is_file()]
    for name in found:
        files = sorted(path for path in (folder / name).rglob("*") if path.is_file())
        images = [path for path in files if path.suffix.lower() in EXTENSIONS]
        if not images:
            raise UserError(f"{folder / name}: no images in this class folder. Add some, or remove it.")
        paths += [str(path.relative_to(root)) for path in images]
        labels += [classes.index(name)] * len(images)
        ignored += [str(path.relative_to(root)) for path in files if path.suffix.lower() not in EXTENSIONS]
    return ImageList(root, classes, tuple(paths), tuple(labels), tuple(ignored))


def _hold_out(images: ImageList, fraction: float) -> tuple[ImageList, ImageList]:
    """Split each class by the order of its paths' hashes; at least one image on either side."""
    by_class: dict[int, list[str]] = defaultdict(list)
    for path, label in zip(images.paths, images.labels, strict=True):
        by_class[label].append(path)
    held: set[str] = set()
    for label, paths in by_class.items():
        if len(paths) < 2:
            name = images.classes[label]
            raise UserError(f"Class '{name}' in {images.root}: one image cannot be split into train and val.")
        count = min(max(1, round(fraction * len(paths))), len(paths) - 1)
        held.update(sorted(paths, key=lambda path: hashlib.sha256(path.encode()).digest())[:count])
    train = images.without(held)
    val = replace(images.without(set(images.paths) - held), ignored=())
    return train, val
