"""List ImageNet (ILSVRC-2012) in its common layouts, and in archives of `alexnet.data.archives`.

Training images: the official tar of tars, a folder of its inner tars, or a folder per class.
Validation images: the official flat tar, a flat folder, or a folder per class; the flat ones need a file
with the ground truth. Kaggle's layout is the same under ILSVRC/Data/CLS-LOC.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from alexnet.data.archives import Archives, find_archives, list_archives
from alexnet.data.folders import list_class_folders
from alexnet.data.image_list import Entry, ImageList, ImageListBuilder
from alexnet.data.imagenet_classes import CLASSES, class_names
from alexnet.data.imagenet_naming import ImageNetNaming
from alexnet.data.imagenet_truth import KAGGLE_IMAGES, first_file, ground_truth, stem
from alexnet.data.tars import tar_members
from alexnet.data.walk import HIDDEN, Walk, is_hidden, set_aside_others
from alexnet.errors import UserError

TRAIN_IMAGES, VAL_IMAGES = 1_281_167, 50_000

TRAIN_TAR, VAL_TAR = "ILSVRC2012_img_train.tar", "ILSVRC2012_img_val.tar"
TRAIN_FOLDERS, VAL_FOLDERS = ("train", "ILSVRC2012_img_train"), ("val", "ILSVRC2012_img_val")


def list_imagenet(walk: Walk) -> tuple[ImageList, ImageList]:
    """List the training and validation images; labels are in the order of the wnids.

    A subset of the 1000 classes is allowed. Raises a `UserError` that names what is missing.
    """
    root = walk.root
    bases = [root, *(base for base in _kaggle_folders(root) if base.is_dir())]
    # not looked for beside these: Kaggle's layout has half a million files of annotations
    own = first_file(bases, TRAIN_TAR) or any(map(walk.subfolders, _folders(bases, TRAIN_FOLDERS)))
    if not own and (archives := find_archives(root)):
        return _list_archived(walk, archives)
    train = _list_train(walk, bases)
    unknown = sorted(set(train.classes) - set(class_names()))
    if unknown:
        raise UserError(
            f"{root}: '{unknown[0]}' is not one of ImageNet's 1,000 classes. For other classes: data=folder."
        )
    return train, _list_val(walk, bases, train.classes)


def _list_archived(walk: Walk, archives: Archives) -> tuple[ImageList, ImageList]:
    train, val = list_archives(walk, archives, None, ImageNetNaming())
    if not len(train):  # only one of the splits is there
        raise UserError(f"{walk.root}: {walk.val_source}: training and validation images are needed.")
    return train, val


def completeness(train: ImageList, val: ImageList) -> str | None:
    """Describe what is missing from ILSVRC-2012; None if it is complete."""
    counts = (len(train.classes), len(train), len(val))
    complete = (CLASSES, TRAIN_IMAGES, VAL_IMAGES)
    if counts == complete:
        return None
    kinds = ("classes", "training images", "validation images")
    rows = zip(counts, complete, kinds, strict=True)
    parts = [f"{count:,} of {expected:,} {kind}" for count, expected, kind in rows if count != expected]
    return f"ImageNet is incomplete: {', '.join(parts)}."


def _kaggle_folders(root: Path) -> list[Path]:
    parts = KAGGLE_IMAGES.parts
    return [root.joinpath(*parts[start:]) for start in range(len(parts))]


def _list_train(walk: Walk, bases: list[Path]) -> ImageList:
    if tar := first_file(bases, TRAIN_TAR):
        return _by_folder(walk, [tar])
    for folder in _folders(bases, TRAIN_FOLDERS):
        if walk.subfolders(folder):
            return list_class_folders(walk, folder)
        if tars := sorted(folder.glob("*.tar")):
            return _by_folder(walk, tars)
    raise UserError(
        f"{walk.root}: no training images. Put {TRAIN_TAR} there (from image-net.org: ILSVRC2012,"
        " Training images, Task 1 & 2), a folder train/ with a folder for each class, or Kaggle's ILSVRC/."
    )


def _list_val(walk: Walk, bases: list[Path], classes: tuple[str, ...]) -> ImageList:
    if tar := first_file(bases, VAL_TAR):
        walk.record(tar)
        return _by_truth(walk, bases, classes, tar_members(walk.root, [tar]), tar)
    for folder in _folders(bases, VAL_FOLDERS):
        if walk.subfolders(folder):
            return list_class_folders(walk, folder, classes)
        return _by_truth(walk, bases, classes, walk.files(folder), folder)
    raise UserError(
        f"{walk.root}: no validation images. Put {VAL_TAR} there (from image-net.org: ILSVRC2012,"
        " Validation images), or a folder val/ with these images, flat or in a folder for each class."
    )


def _folders(bases: list[Path], names: tuple[str, ...]) -> list[Path]:
    return [base / name for base in bases for name in names if (base / name).is_dir()]


def _by_folder(walk: Walk, tars: list[Path]) -> ImageList:
    """List the members of tars; the class of each is the folder, or the inner tar, that contains it."""
    for tar in tars:
        walk.record(tar)
    aside: dict[str, str] = {}
    builder = ImageListBuilder(walk.root)
    numbers: dict[str, int] = {}  # of the wnids, in the order in which they appear
    for entry in _images(tar_members(walk.root, tars), aside):
        wnid = entry.path.split("/")[-2].removesuffix(".tar")
        builder.add(entry._replace(label=numbers.setdefault(wnid, len(numbers))))
    if not len(builder):
        raise UserError(f"{tars[0]} contains no images.")
    classes = tuple(sorted(numbers))
    labels = {wnid: label for label, wnid in enumerate(classes)}
    return builder.build(classes, aside, np.array([labels[wnid] for wnid in numbers]))


def _by_truth(
    walk: Walk, bases: list[Path], classes: tuple[str, ...], files: Iterable[Entry], source: Path
) -> ImageList:
    """List images whose classes the ground truth gives by their names."""
    aside: dict[str, str] = {}
    images = list(_images(files, aside))
    if not images:
        raise UserError(f"{source} contains no images.")
    truth, truth_file = ground_truth(walk, bases, source)
    labels = {wnid: label for label, wnid in enumerate(classes)}
    entries = []
    for entry in images:
        wnid = truth.get(stem(entry.path))
        if wnid is None:
            raise UserError(f"{truth_file} does not give the class of {entry.path}. Is it for these images?")
        if wnid not in labels:
            raise UserError(f"{entry.path} has class {wnid}, which has no training images.")
        entries.append(entry._replace(label=labels[wnid]))
    return ImageList.of(walk.root, classes, entries, aside)


def _images(entries: Iterable[Entry], aside: dict[str, str]) -> Iterator[Entry]:
    """Yield the images; `aside` receives what is set aside, with the reasons."""

    def visible() -> Iterator[Entry]:
        for entry in entries:
            if any(map(is_hidden, entry.path.split("/")[:-1])):
                aside[entry.path] = HIDDEN
            else:
                yield entry

    return set_aside_others(visible(), aside)
