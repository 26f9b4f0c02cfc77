"""List ImageNet (ILSVRC-2012) in its common layouts, and in archives of `alexnet.data.archives`.

Training images: the official tar of tars, a folder of its inner tars, or a folder per class.
Validation images: the official flat tar, a flat folder, or a folder per class; the flat ones need a file
with the ground truth. Kaggle's layout is the same under ILSVRC/Data/CLS-LOC.
"""

import csv
import re
import tarfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from io import BytesIO
from pathlib import Path

import numpy as np

from alexnet.data.archives import Archives, Naming, find_archives, list_archives
from alexnet.data.folders import list_class_folders
from alexnet.data.image_list import Entry, ImageList, ImageListBuilder
from alexnet.data.npz_batches import NPZ_BATCHES
from alexnet.data.samples import ArchiveContent, ArchiveForm, Label
from alexnet.data.tars import tar_members
from alexnet.data.walk import HIDDEN, Walk, is_hidden, set_aside_others
from alexnet.errors import UserError

CLASSES = 1000
TRAIN_IMAGES, VAL_IMAGES = 1_281_167, 50_000

TRAIN_TAR, VAL_TAR = "ILSVRC2012_img_train.tar", "ILSVRC2012_img_val.tar"
TRAIN_FOLDERS, VAL_FOLDERS = ("train", "ILSVRC2012_img_train"), ("val", "ILSVRC2012_img_val")
KAGGLE_IMAGES = Path("ILSVRC/Data/CLS-LOC")
KAGGLE_TRUTH = "LOC_val_solution.csv"
CAFFE_TRUTH = "val.txt"
DEVKIT = "ILSVRC2012_devkit_t12"
DEVKIT_TRUTH = "ILSVRC2012_validation_ground_truth.txt"
DEVKIT_META = "meta.mat"

OFFICIAL_NAME = re.compile(
    r"(?P<folder>.*/|)(?P<stem>(?P<own>n\d{8})_\d+|ILSVRC2012_val_\d{8})(_(?P<added>n\d{8}))?\.\w+"
)

Truth = dict[str, str]  # name of a validation image, without its suffix -> wnid


@cache
def class_names() -> dict[str, str]:
    """Map each wnid to its words, such as n01440764 to "tench, Tinca tinca", in the order of the labels."""
    lines = Path(__file__).with_name("ilsvrc2012_synsets.txt").read_text(encoding="utf-8").splitlines()
    return dict(line.split(" ", 1) for line in lines)


@cache
def ids() -> list[str]:
    """Return the wnids in the order of their ILSVRC2012_ID, from 1, as in the development kit's meta.mat."""
    return Path(__file__).with_name("ilsvrc2012_ids.txt").read_text(encoding="utf-8").split()


def list_imagenet(walk: Walk) -> tuple[ImageList, ImageList]:
    """List the training and validation images; labels are in the order of the wnids.

    A subset of the 1000 classes is allowed. Raises a `UserError` that names what is missing.
    """
    root = walk.root
    bases = [root, *(base for base in _kaggle_folders(root) if base.is_dir())]
    # not looked for beside these: Kaggle's layout has half a million files of annotations
    own = _first_file(bases, TRAIN_TAR) or any(map(walk.subfolders, _folders(bases, TRAIN_FOLDERS)))
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


class ImageNetNaming(Naming):
    """The wnids of ImageNet's classes, and the official names of its images, in archives of others.

    Numbers are in the order of the wnids, except those of the npz batches: they are ILSVRC2012_IDs, from 1.
    """

    def __init__(self) -> None:
        self.wnids = list(class_names())
        words: dict[str, list[str]] = defaultdict(list)
        for wnid, text in class_names().items():
            words[text].append(wnid)
            words[wnid].append(wnid)
        self._known = {text: wnids[0] for text, wnids in words.items() if len(wnids) == 1}

    def class_of(self, label: Label, content: ArchiveContent, form: ArchiveForm) -> str:
        if isinstance(label, str) or content.class_names is not None:
            return self._of_name(label, super().class_of(label, content, form), content)
        wnids, first = (ids(), 1) if form is NPZ_BATCHES else (self.wnids, 0)
        if not first <= label < first + len(wnids):
            raise UserError(f"label {label} is not one of ImageNet's, {first} to {first + len(wnids) - 1}.")
        return wnids[label - first]

    def _of_name(self, label: Label, name: str, content: ArchiveContent) -> str:
        """Return the wnid of a class by its name, or by its number where all thousand are in order."""
        if (wnid := self._known.get(name)) is not None:
            return wnid
        names = content.class_names or ()
        if isinstance(label, int) and self._in_order(names):
            return self.wnids[label]
        raise UserError(f"'{name}' is not one of ImageNet's 1,000 classes. For other classes: data=folder.")

    def _in_order(self, names: tuple[str, ...]) -> bool:
        """Return whether names are ImageNet's in the order of the wnids, though not all in the same words."""
        if len(names) != CLASSES:
            return False
        own = [self._known.get(name) for name in names]
        known = [wnid == right for wnid, right in zip(own, self.wnids, strict=True) if wnid is not None]
        return all(known) and len(known) > CLASSES / 2

    def image_name(self, name: str, class_name: str) -> str:
        """Return n01440764_18.JPEG for n01440764_18.jpg, and n01440764_18_n01440764.JPEG (Hugging Face's)."""
        if (official := OFFICIAL_NAME.fullmatch(name)) is None:
            return name
        if any(wnid not in (None, class_name) for wnid in official.group("own", "added")):
            raise UserError(f"its label is that of {class_name}.")
        return f"{official['folder']}{official['stem']}.JPEG"


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
    if tar := _first_file(bases, TRAIN_TAR):
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
    if tar := _first_file(bases, VAL_TAR):
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


def _first_file(bases: list[Path], name: str) -> Path | None:
    return next((base / name for base in bases if (base / name).is_file()), None)


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
    truth, truth_file = _ground_truth(walk, bases, source)
    labels = {wnid: label for label, wnid in enumerate(classes)}
    entries = []
    for entry in images:
        wnid = truth.get(_stem(entry.path))
        if wnid is None:
            raise UserError(f"{truth_file} does not give the class of {entry.path}. Is it for these images?")
        if wnid not in labels:
            raise UserError(f"{entry.path} is of class {wnid}, of which there are no training images.")
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


def _stem(path: str) -> str:
    return path.rpartition("/")[2].partition(".")[0]


def _ground_truth(walk: Walk, bases: list[Path], images: Path) -> tuple[Truth, Path]:
    """Read the classes of the validation images. Returns them, and the file that gives them."""
    readers: dict[str, Callable[[Path], Truth]] = {
        KAGGLE_TRUTH: _read_kaggle,
        f"{DEVKIT}.tar.gz": _read_devkit_tar,
        DEVKIT_TRUTH: _read_devkit,
        CAFFE_TRUTH: _read_caffe,
    }
    root = walk.root
    # for a root inside Kaggle's layout, which has the file in its top folder
    above = [up for up in root.parents[:3] if root.is_relative_to(up / KAGGLE_IMAGES)]
    in_devkit = [base / folder for folder in (f"{DEVKIT}/data", "data") for base in bases]
    for name, read in readers.items():
        if path := _first_file([*bases, *above, *in_devkit], name):
            walk.record(path)
            try:
                return read(path), path
            except UserError:
                raise
            except Exception as error:  # the readers raise many types for a damaged file
                raise UserError(f"{path}: cannot be read ({error}). Download it again.") from error
    raise UserError(
        f"{images}: no file gives the classes of these images. Put {DEVKIT}.tar.gz (from"
        f" image-net.org: ILSVRC2012, Development kit, Task 1 & 2) or {KAGGLE_TRUTH} (from Kaggle: ImageNet"
        f" Object Localization Challenge) into {root}, or sort them into a folder for each class."
    )


def _read_kaggle(path: Path) -> Truth:
    """Read rows such as ILSVRC2012_val_00048981,n03995372 85 1 499 272: the class, then boxes."""
    with path.open(newline="", encoding="utf-8") as file:
        return {row["ImageId"]: row["PredictionString"].split()[0] for row in csv.DictReader(file)}


def _read_caffe(path: Path) -> Truth:
    """Read lines such as ILSVRC2012_val_00000001.JPEG 65: the index of the wnid among all 1000."""
    wnids = list(class_names())
    rows = (line.split() for line in path.read_text(encoding="utf-8").splitlines() if line.strip())
    return {_stem(name): wnids[int(label)] for name, label in rows}


def _read_devkit_tar(path: Path) -> Truth:
    with tarfile.open(path) as tar:
        files = {}
        for name in (DEVKIT_TRUTH, DEVKIT_META):
            file = tar.extractfile(f"{DEVKIT}/data/{name}")
            assert file is not None
            files[name] = file.read()
    return _truth_of_ids(files[DEVKIT_TRUTH].decode(), files[DEVKIT_META])


def _read_devkit(path: Path) -> Truth:
    meta = path.with_name(DEVKIT_META)
    if not meta.is_file():
        raise UserError(
            f"{path} gives class numbers; {DEVKIT_META}, which explains them, is not in the same folder."
            f" Both are in {DEVKIT}.tar.gz, from image-net.org."
        )
    return _truth_of_ids(path.read_text(encoding="utf-8"), meta.read_bytes())


def _truth_of_ids(text: str, meta: bytes) -> Truth:
    """Map image names to wnids: the n-th number is the ILSVRC2012_ID (not the label) of the n-th image."""
    from scipy.io import loadmat

    synsets = loadmat(BytesIO(meta), squeeze_me=True)["synsets"]
    wnids = {int(row["ILSVRC2012_ID"]): str(row["WNID"]) for row in synsets}
    ids = [int(line) for line in text.split()]
    return {f"ILSVRC2012_val_{number:08d}": wnids[id_] for number, id_ in enumerate(ids, start=1)}
