"""Lists of images in class folders."""

import hashlib
from collections import Counter
from dataclasses import replace
from pathlib import Path, PurePath

import numpy as np

from alexnet.data.image_list import NO_CLASS, NOT_AN_IMAGE, ImageList, ImageListBuilder
from alexnet.data.labels import ClassMatcher, composed, list_names, printable
from alexnet.data.splits import SplitKind, find_layout, split_kind
from alexnet.data.walk import Walk, is_image, set_aside_others
from alexnet.errors import UserError

PACKED = (".tar", ".gz", ".tgz", ".bz2", ".xz", ".zst", ".zip", ".7z", ".rar", ".npz", ".h5", ".hdf5", ".pkl")
ANNOTATIONS = "val_annotations.txt"  # of Tiny ImageNet, whose val/images has no class folders


def list_folders(walk: Walk, val_fraction: float) -> tuple[ImageList, ImageList]:
    """List the training and validation images under the root.

    The layout is root/train/<class>/ with root/val/<class>/, under any of the usual names (see `split_kind`);
    or root/<class>/, or a train folder alone, of which `val_fraction` of each class is held out, chosen by a
    hash of the path, so that adding files moves few of the others.

    Raises `UserError` for classes without images, a validation class without training images, and folders
    that may be splits or classes.
    """
    layout = find_layout(walk, walk.root)
    if layout.val is None:
        folder = layout.train or layout.root
        where = walk.relative(folder)
        place = "each class" if where == "." else f"{where}/"
        return hold_out_images(walk, list_class_folders(walk, folder), val_fraction, place)
    if layout.train is None:
        raise UserError(
            f"{walk.root}: {walk.relative(layout.val)}/ is not named as training data, and there is no"
            " folder train/ beside it."
        )
    return _list_splits(walk, layout.train, layout.val)


def list_whole(walk: Walk) -> tuple[ImageList, ImageList]:
    """List the images under the root for an evaluation: its validation images if it has any, else all.

    The first list is empty, except where validation images are beside training images, which define the
    classes. Raises `UserError` as `list_folders` does.
    """
    layout = find_layout(walk, walk.root)
    if layout.train is not None and layout.val is not None:
        return _list_splits(walk, layout.train, layout.val)
    folder = layout.val or layout.train or layout.root
    images = _list_split(walk, folder, None)
    walk.val_source = f"all in {folder}"
    return ImageList.of(walk.root, images.classes, []), images


def _list_splits(walk: Walk, train_folder: Path, val_folder: Path) -> tuple[ImageList, ImageList]:
    train = list_class_folders(walk, train_folder)
    walk.val_source = f"{walk.relative(val_folder)}/"
    return train, _list_split(walk, val_folder, train.classes)


def _list_split(walk: Walk, folder: Path, classes: tuple[str, ...] | None) -> ImageList:
    if (folder / ANNOTATIONS).is_file():
        return _list_annotated(walk, folder, classes)
    return list_class_folders(walk, folder, classes)


def _list_annotated(walk: Walk, folder: Path, classes: tuple[str, ...] | None) -> ImageList:
    """List the images of a folder whose classes are in a file of lines of name, class and box, with tabs."""
    file = folder / ANNOTATIONS
    walk.record(file)
    lines = file.read_text(encoding="utf-8").splitlines()
    class_of = dict(line.split("\t")[:2] for line in lines if line.count("\t"))
    classes = classes or tuple(sorted(set(class_of.values())))
    matcher = ClassMatcher(classes)
    aside: dict[str, str] = {}
    entries = []
    for entry in set_aside_others(walk.files(folder, aside=aside), aside):
        name = class_of.get(entry.path.rpartition("/")[2])
        label = None if name is None else matcher.label(name)
        if label is None:
            problem = (
                f"no class for {entry.path}" if name is None else f"class '{name}', without training images"
            )
            raise UserError(f"{file}: {problem}.")
        entries.append(entry._replace(label=label))
    del aside[walk.relative(file)]
    return ImageList.of(walk.root, classes, entries, aside)


def list_class_folders(walk: Walk, folder: Path, classes: tuple[str, ...] | None = None) -> ImageList:
    """List the images of one split, folder/<class>/<file>.

    `classes` are those of the training images, of which some may have none here; None takes the folders' own.
    """
    aside: dict[str, str] = {}
    names = walk.subfolders(folder, aside)
    if not names:
        raise UserError(
            f"{folder}: no class folders. Expected {folder}/<class>/<image files>.{_advice(walk, folder)}"
        )
    if classes is None:
        own, labels = _own_classes(walk, folder, names)
    else:
        own, labels = classes, _labels_among(walk, folder, names, classes)
    for file in walk.files(folder, deep=False, aside=aside):
        aside[file.path] = NO_CLASS if is_image(file.path) else NOT_AN_IMAGE
    builder = ImageListBuilder(walk.root)
    empty = []
    for name in names:
        before = len(builder)
        for entry in set_aside_others(walk.files(folder / name, labels[name], aside=aside), aside):
            builder.add(entry)
        if len(builder) == before:
            empty.append(name)
    _refuse_data_sets_as_classes(walk, folder, names)
    if left_out := _endings(aside, NOT_AN_IMAGE):
        walk.notes.append(f"{folder}: ignored, not images by name: {left_out}.")
    if left_out := _endings(aside, NO_CLASS):
        walk.notes.append(f"{folder}: ignored, not in a class folder: {left_out}.")
    if classes is None:
        _note_odd_classes(walk, folder, names)
    if empty:
        _report_empty(walk, folder, empty, validation=classes is not None)
    return builder.build(own, aside)


def _advice(walk: Walk, folder: Path) -> str:
    """Return what to do with archives in a folder that are not of a form that is read in place."""
    names = sorted(PurePath(file.path).name for file in walk.files(folder, deep=False))
    packed = [name for name in names if name.lower().endswith(PACKED)]
    return (
        f" Archives such as {list_names(packed)} are not read in place here: extract them." if packed else ""
    )


def _own_classes(walk: Walk, folder: Path, names: list[str]) -> tuple[tuple[str, ...], dict[str, int]]:
    """Return the classes, and the label of each folder; two Unicode forms of one name are one class."""
    label_of: dict[str, int] = {}
    classes: list[str] = []
    labels = {}
    for name in names:
        key = composed(name)
        if key in label_of:
            walk.notes.append(f"{folder}: the two Unicode forms of '{printable(name)}' are one class.")
        else:
            label_of[key] = len(classes)
            classes.append(printable(name))
        labels[name] = label_of[key]
    return tuple(classes), labels


def _labels_among(walk: Walk, folder: Path, names: list[str], classes: tuple[str, ...]) -> dict[str, int]:
    """Return the label of each folder among the classes of the training images."""
    matcher = ClassMatcher(classes)
    labels = {}
    for name in names:
        label = matcher.label(name)
        if label is None:
            raise UserError(f"{folder / printable(name)}: there is no such class among the training images.")
        if classes[label] != printable(name):
            walk.notes.append(
                f"{folder / printable(name)} is used as the training class '{classes[label]}', which"
                " differs only in case or Unicode form."
            )
        labels[name] = label
    return labels


def _report_empty(walk: Walk, folder: Path, empty: list[str], validation: bool) -> None:
    """Note class folders without images. Raises `UserError` for those of training images."""
    paths = [folder / printable(name) for name in empty]
    if len(paths) == 1:
        text = f"{paths[0]}: no images in this class folder."
    else:
        text = f"{folder}: no images in {len(paths)} class folders: {', '.join(path.name for path in paths)}."
    if not validation:
        raise UserError(f"{text} Add some, or remove {'it' if len(paths) == 1 else 'them'}.")
    walk.notes.append(text)


def _refuse_data_sets_as_classes(walk: Walk, folder: Path, names: list[str]) -> None:
    """Raise `UserError` for a class folder with splits in it: it is a data set, and the root one too high."""
    start = "" if folder == walk.root else f"{walk.relative(folder)}/"
    inside: dict[str, set[SplitKind | None]] = {name: set() for name in names}
    for path in walk.mtimes:  # of all folders in the classes
        name, _, rest = path.removeprefix(start).partition("/")
        if rest and "/" not in rest and name in inside and path.startswith(start):
            inside[name].add(split_kind(rest))
    for name, kinds in inside.items():
        if SplitKind.train in kinds and kinds & {SplitKind.val, SplitKind.test}:
            inner = folder / name
            raise UserError(f"{inner} contains splits, like a data set. Did you mean data.root={inner}?")


def _note_odd_classes(walk: Walk, folder: Path, names: list[str]) -> None:
    """Note classes that may be splits, as each holds the same folders, and classes that are one folder."""
    inside = []
    for name in names:
        inside.append(_folders_alone(walk, folder / name))
        if len(inside[-1]) < 2:
            break
    else:
        largest = max(inside, key=len)
        if len(names) > 1 and all(set(largest) >= set(some) for some in inside):
            walk.notes.append(
                f"{folder}: its classes {list_names(names)} contain the same folders: {list_names(largest)}."
                " If they are splits, call them train and val."
            )
    first: dict[tuple[int, int], str] = {}
    for name in names:
        status = (folder / name).stat()
        other = printable(first.setdefault((status.st_dev, status.st_ino), name))
        if other != printable(name):
            walk.notes.append(f"{folder}: the classes {other} and {printable(name)} are one folder.")


def _folders_alone(walk: Walk, folder: Path) -> list[str]:
    """Return the names of the folders in one that holds no images itself; none for others."""
    return [] if walk.has_images(folder) else walk.subfolders(folder)


def _endings(aside: dict[str, str], kind: str) -> str:
    """Describe the files that are set aside for one reason: 120 .heic, 1 .txt."""
    paths = [PurePath(path) for path, reason in aside.items() if reason == kind]
    counts = Counter(path.suffix.lower() or path.name for path in paths if not path.name.startswith("."))
    return ", ".join(f"{count:,} {ending}" for ending, count in counts.most_common(5))


def hold_out_images(
    walk: Walk, images: ImageList, fraction: float, place: str
) -> tuple[ImageList, ImageList]:
    """Split each class by the hashes of its paths, with at least one image in each split.

    `place` tells the user where the images are. Raises `UserError` for a class of one image.
    """
    walk.held_out, walk.val_source = True, f"{100 * fraction:g}% held out of {place}"
    held = np.zeros(len(images), np.bool_)
    for label, name in enumerate(images.classes):
        rows = np.flatnonzero(images.labels == label)
        if len(rows) < 2:
            raise UserError(f"Class '{name}' in {images.root}: one image cannot be split into train and val.")
        count = min(max(1, round(fraction * len(rows))), len(rows) - 1)
        hashes = [hashlib.sha256(images.identity(int(row))).digest() for row in rows]
        held[rows[sorted(range(len(rows)), key=hashes.__getitem__)[:count]]] = True
    return images.select(~held), replace(images.select(held), ignored={})
