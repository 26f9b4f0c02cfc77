"""Which folders of a data set are its splits, by their names and by what they hold."""

import re
from collections import defaultdict
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from alexnet.data.labels import list_names, matching_key
from alexnet.data.walk import Walk
from alexnet.errors import UserError


class SplitKind(Enum):
    """What a folder of images is for, by its name."""

    train = "training"
    val = "validation"
    test = "test"


_AFFIX = r"(?:data|set|images?|imgs?|split|samples?|folder|dir)*"
_PATTERNS = {
    SplitKind.train: r"train(?:ing)?",
    SplitKind.val: r"val(?:id|idate|idation)?|dev(?:elopment)?|holdout|heldout",
    SplitKind.test: r"test(?:s|ing)?|eval(?:uate|uation)?",
}
# seg, train; X, Test; cifar, 10, train
_WORDS = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[^\W\d_A-Z]+|[A-Z]+|\d+")
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


def split_kinds(names: list[str]) -> dict[str, SplitKind]:
    """Return those of the folders beside each other that are splits by their names.

    In names such as seg_train and seg_test, which differ in one word, this word tells.
    """
    kinds = {name: kind for name in names if (kind := split_kind(name))}
    alike: dict[tuple[str, ...], dict[str, SplitKind]] = defaultdict(dict)
    for name in names:
        words = [word.casefold() for word in _WORDS.findall(name)]
        found = [word for word in words if split_kind(word) and not re.fullmatch(_AFFIX, word)]
        if name not in kinds and len(found) == 1 and (kind := split_kind(found[0])):
            alike[tuple(word for word in words if word != found[0])][name] = kind
    for group in alike.values():
        if SplitKind.train in group.values() and len(set(group.values())) > 1:
            kinds |= group
    return kinds


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
    kinds = split_kinds(names)
    if not kinds:
        return _inside(walk, root, names)
    train = [name for name, kind in kinds.items() if kind is SplitKind.train]
    val = sorted(set(kinds) - set(train), key=lambda name: split_preference(name, kinds[name]))
    if len(train) > 1:
        raise UserError(
            f"{root}: {_list_folders(train)} are both named as training images. Merge them, or move one away."
        )
    if _are_classes(walk, root, names, train, val):
        return Layout(None, None, root)
    if not train and len(kinds) < len(names):
        classes = [name for name in names if name not in kinds]
        raise UserError(
            f"{root}: {val[0]}/ is named as a split, but {_list_folders(classes)} beside it are classes. Move"
            f" the training classes into {root / 'train'}, or rename {val[0]} if it is a class."
        )
    folders = {name: _undoubled(walk, root / name) for name in (*train, *val)}
    classes_of = set(map(matching_key, walk.subfolders(folders[train[0]]))) if train else set()
    labelled = [name for name in val if _is_labelled(walk, folders[name], kinds[name], classes_of)]
    chosen = labelled[:1] if train else val[:1]
    if train and chosen:
        del walk.mtimes[walk.relative(root)]  # a pack in it, or a file beside the splits, is no change
    unused = [name for name in names if name not in (*train, *chosen)]
    if unused:
        walk.notes.append(f"{root}: {_list_folders(unused)} not used.")
    for name in chosen if train else ():
        if folders[name].samefile(folders[train[0]]):
            walk.notes.append(
                f"{root}: {name}/ and {train[0]}/ are one folder: the training images are validated."
            )
    return Layout(folders[train[0]] if train else None, folders[chosen[0]] if chosen else None, root)


def split_preference(name: str, kind: SplitKind | None) -> tuple[bool, int, str]:
    """Return a key that sorts the splits to validate on, the preferred one first; test splits come last."""
    first = _FIRST_NAMES.index(name) if name in _FIRST_NAMES else len(_FIRST_NAMES)
    return kind is SplitKind.test, first, name


def _are_classes(walk: Walk, root: Path, names: list[str], train: list[str], val: list[str]) -> bool:
    """Return whether names such as train and valid are those of classes, as they hold images themselves."""
    if (train and val) or len(names) < 2:
        return False
    known = [*train, *val]
    flat = all(not walk.subfolders(root / name) and walk.has_images(root / name) for name in known)
    return flat and len(names) > len(known) and all(name.casefold() in _ALSO_CLASSES for name in known)


def _is_labelled(walk: Walk, folder: Path, kind: SplitKind, classes: set[str]) -> bool:
    """Return False for test images in no folder of a class, as contests have them."""
    if kind is not SplitKind.test:
        return True
    inside = walk.subfolders(folder)
    return not classes.isdisjoint(map(matching_key, inside)) if inside else not walk.has_images(folder)


def _inside(walk: Walk, root: Path, names: list[str]) -> Layout:
    """Return the layout of the only folder in `root` if it is the data set, which archives often do."""
    inner, within, doubled = root, names, False
    while len(within) == 1 and not walk.has_images(inner):
        doubled = doubled or within[0] == inner.name
        inner /= within[0]
        within = walk.subfolders(inner)
    if inner == root:
        return Layout(None, None, root)
    if within and (doubled or split_kinds(within)):
        walk.notes.append(f"{root}: the images are taken from {inner}.")
        return find_layout(walk, inner)
    if len(within) > 1 and not walk.has_images(inner):
        raise UserError(
            f"{root}: its only folder {walk.relative(inner)} contains folders: {_list_folders(within)}. Did"
            f" you mean data.root={inner}?"
        )
    return Layout(None, None, root)


def _undoubled(walk: Walk, folder: Path) -> Path:
    """Return the folder of classes in a split: train, train/train, train/images."""
    names = walk.subfolders(folder)
    if len(names) != 1 or walk.has_images(folder):
        return folder
    inner, kind = folder / names[0], split_kind(names[0])
    again = names[0] == folder.name or (kind is not None and kind is split_kind(folder.name))
    between = re.fullmatch(_AFFIX, names[0].casefold()) and not walk.has_images(inner)
    if (again or between) and walk.subfolders(inner):
        return _undoubled(walk, inner)
    return folder


def _list_folders(names: list[str]) -> str:
    return list_names([f"{name}/" for name in names])
