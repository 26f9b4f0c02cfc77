"""Which folders of a data set are its splits, by their names and by what they hold."""

import re
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from alexnet.data.walk import Walk, is_image
from alexnet.errors import UserError


class SplitKind(Enum):
    """What a folder of images is for, by its name."""

    train = "training"
    val = "validation"
    test = "test"


_AFFIX = r"(?:data|set|images?|imgs?|split|samples?|folder|dir)*"
_PATTERNS = {
    SplitKind.train: r"train(?:ing)?",
    SplitKind.val: r"val(?:id|idation)?|dev",
    SplitKind.test: r"test(?:ing)?|eval(?:uation)?",
}
# the names among which there has always been a choice, in its order
_FIRST_NAMES = ("val", "validation", "valid", "test")
_ALSO_CLASSES = ("train", "valid", "dev")  # words that classes have for names: a vehicle, {valid, invalid}


def split_kind(name: str) -> SplitKind | None:
    """Return the split that a folder is by its name, in any case: train, Training, val2017, test_set, ..."""
    letters = re.sub(r"[\W\d_]", "", name.casefold())
    for kind, words in _PATTERNS.items():
        if re.fullmatch(f"{_AFFIX}(?:{words}){_AFFIX}", letters):
            return kind
    return None


@dataclass(frozen=True)
class Layout:
    """The folders of a data set, each with a folder for each class; without `train` the root is no split."""

    train: Path | None
    val: Path | None
    root: Path


def find_layout(walk: Walk, root: Path) -> Layout:
    """Find the splits in `root`, or in the only folder in it. What is not used is noted in `walk.notes`.

    Raises `UserError` where the names leave open what is meant.
    """
    names = walk.subfolders(root)
    kinds = {name: kind for name in names if (kind := split_kind(name))}
    if not kinds:
        return _inside(walk, root, names)
    train = [name for name, kind in kinds.items() if kind is SplitKind.train]
    val = sorted(set(kinds) - set(train), key=lambda name: split_preference(name, kinds[name]))
    if len(train) > 1:
        raise UserError(
            f"{root}: {_listed(train)} are both training images by their names. Merge them, or move one away."
        )
    if _are_classes(walk, root, names, train, val):
        return Layout(None, None, root)
    if not train and len(kinds) < len(names):
        classes = [name for name in names if name not in kinds]
        raise UserError(
            f"{root}: {val[0]}/ is a split by its name, and {_listed(classes)} beside it are classes. Move"
            f" the training classes into {root / 'train'}, or rename {val[0]} if it is a class."
        )
    labelled = [name for name in val if _is_labelled(walk, root / name, kinds[name])]
    chosen = labelled[:1] if train else val[:1]
    if train and chosen:
        del walk.mtimes[walk.relative(root)]  # a pack in it, or a file beside the splits, is no change
    unused = [name for name in names if name not in (*train, *chosen)]
    if unused:
        walk.notes.append(f"{root}: {_listed(unused)} not used.")
    folders = [_undoubled(walk, root / name) for name in (*train, *chosen)]
    return Layout(folders[0] if train else None, folders[-1] if chosen else None, root)


def split_preference(name: str, kind: SplitKind | None) -> tuple[int, bool, str]:
    """Return a key that sorts the splits to validate on, the preferred one first."""
    first = _FIRST_NAMES.index(name) if name in _FIRST_NAMES else len(_FIRST_NAMES)
    return first, kind is SplitKind.test, name


def _are_classes(walk: Walk, root: Path, names: list[str], train: list[str], val: list[str]) -> bool:
    """Return whether names such as train and valid are those of classes, as they hold images themselves."""
    if (train and val) or len(names) < 2:
        return False
    known = [*train, *val]
    flat = all(not walk.subfolders(root / name) and _has_images(walk, root / name) for name in known)
    return flat and len(names) > len(known) and all(name.casefold() in _ALSO_CLASSES for name in known)


def _is_labelled(walk: Walk, folder: Path, kind: SplitKind) -> bool:
    """Return False for test images without class folders, as contests have them."""
    return kind is not SplitKind.test or bool(walk.subfolders(folder)) or not _has_images(walk, folder)


def _inside(walk: Walk, root: Path, names: list[str]) -> Layout:
    """Return the layout of the only folder in `root` if it is the data set, which archives often do."""
    if len(names) != 1 or _has_images(walk, root):
        return Layout(None, None, root)
    inner = root / names[0]
    within = walk.subfolders(inner)
    doubled = names[0] in (root.name, *within)
    if within and (doubled or any(map(split_kind, within))):
        walk.notes.append(f"{root}: the images are taken from {inner}.")
        return find_layout(walk, inner)
    if len(within) > 1 and not _has_images(walk, inner):
        raise UserError(
            f"{root}: its only folder {names[0]} holds folders: {_listed(within)}. Did you mean"
            f" data.root={inner}?"
        )
    return Layout(None, None, root)


def _undoubled(walk: Walk, folder: Path) -> Path:
    """Return the folder of classes in a split that was unpacked twice, train/train/<class>."""
    names = walk.subfolders(folder)
    if len(names) == 1 and split_kind(names[0]) is split_kind(folder.name) and not _has_images(walk, folder):
        inner = folder / names[0]
        if walk.subfolders(inner):
            return _undoubled(walk, inner)
    return folder


def _has_images(walk: Walk, folder: Path) -> bool:
    return any(is_image(file.path) for file in walk.files(folder, deep=False))


def _listed(names: list[str], most: int = 3) -> str:
    shown = ", ".join(f"{name}/" for name in names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown
