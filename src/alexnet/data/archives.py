"""List images in archives, in place: Parquet files, WebDataset's shards, npz batches."""

import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath

import numpy as np
from numpy.typing import NDArray

from alexnet.data.folders import hold_out_images
from alexnet.data.image_list import Entry, ImageList, ImageListBuilder
from alexnet.data.labels import ClassMatcher, composed, list_names
from alexnet.data.npz_batches import NPZ_BATCHES
from alexnet.data.parquet import PARQUET
from alexnet.data.prefetch import prefetch_map
from alexnet.data.samples import ArchiveContent, ArchiveForm, Label, Sample
from alexnet.data.shards import SHARDS
from alexnet.data.splits import SplitKind, split_kind, split_preference
from alexnet.data.walk import Walk, is_image
from alexnet.errors import UserError
from alexnet.terminal import progress_bar

FORMS = (PARQUET, SHARDS, NPZ_BATCHES)
OFFICIAL = re.compile(r"ILSVRC2012_.*|n\d{8}\.tar")  # ImageNet's own tars, which are no shards
PART = re.compile(r"-\d{5}-of-(\d{5})\b")  # in the names that `datasets` gives
SHOWN = 3  # names in a message


@dataclass(frozen=True)
class Archives:
    """The archives of a data set, all of one form."""

    form: ArchiveForm
    paths: list[Path]


class Naming:
    """What classes and images are called; another data set overrides it."""

    def class_of(self, label: Label, content: ArchiveContent, form: ArchiveForm) -> str:
        """Return the name of a class. Raises `UserError` for a number without a name."""
        if content.class_names is None or isinstance(label, str):
            return str(label)
        if not 0 <= label < len(content.class_names):
            raise UserError(f"label {label} is not one of its {len(content.class_names)} classes.")
        return content.class_names[label]

    def image_name(self, name: str, class_name: str) -> str:
        """Return the name of an image. Raises `UserError` for one of another class by its name."""
        return name


def find_archives(root: Path) -> Archives | None:
    """Find the archives below a folder; None without any, or if images are in class folders.

    Raises `UserError` for archives of more than one form.
    """
    if not root.is_dir():
        return None
    found: dict[str, list[Path]] = defaultdict(list)
    folders = set()
    endings = {form.ending for form in FORMS}
    try:
        for entry in Walk(root).files(root):
            ending = os.path.splitext(entry.path)[1].lower()  # noqa: PTH122 - a Path for each is slow
            if ending in endings and not OFFICIAL.fullmatch(PurePath(entry.path).name):
                found[ending].append(root / entry.path)
            elif is_image(entry.path):
                folders.add(os.path.dirname(entry.path))  # noqa: PTH120
                if len(folders) > 1:  # one may hold the pictures of a README
                    return None
    except UserError:  # of links to nothing: told where the folders are listed
        return None
    forms = [form for form in FORMS if any(map(form.matches, found[form.ending]))]
    if len(forms) > 1:
        titles = " and ".join(form.title for form in forms)
        raise UserError(f"{root}: holds {titles}. Give the folder of one: data.root=<folder>.")
    return Archives(forms[0], sorted(found[forms[0].ending], key=_natural)) if forms else None


def list_archives(
    walk: Walk, archives: Archives, val_fraction: float | None, naming: Naming
) -> tuple[ImageList, ImageList]:
    """List the training and validation images in archives, whose names, or folders, tell the splits.

    Without validation archives `val_fraction` of each class is held out; with None, for an evaluation, all
    images are validation images then. Raises `UserError` for archives that cannot be trained on.
    """
    train_paths, val_paths = _splits(walk, archives)
    reader = _Reader(walk, archives.form, naming)
    if val_fraction is None and not (train_paths and val_paths):
        images = reader.read(train_paths or val_paths, None)
        walk.val_source = f"all in {_list_archives(walk, train_paths or val_paths)}"
        return ImageList.of(walk.root, images.classes, []), images
    if not train_paths:
        names = _list_archives(walk, val_paths)
        raise UserError(f"{walk.root}: {names} are not named as training data, and nothing else is there.")
    train = reader.read(train_paths, None)
    if val_paths:
        walk.val_source = _list_archives(walk, val_paths)
        return train, reader.read(val_paths, train.classes)
    assert val_fraction is not None
    return hold_out_images(walk, train, val_fraction, _list_archives(walk, train_paths))


class _Reader:
    """Reads the archives of a split into a list."""

    def __init__(self, walk: Walk, form: ArchiveForm, naming: Naming) -> None:
        self.walk, self.form, self.naming = walk, form, naming

    def read(self, paths: list[Path], classes: tuple[str, ...] | None) -> ImageList:
        """Return the images in archives; `classes` are those of the training images, None for their own."""
        builder = ImageListBuilder(self.walk.root)
        numbers: dict[str, int] = {}  # of the classes, in the order in which they appear
        declared: set[str] = set()
        aside: dict[str, str] = {}
        for path, content in self._contents(paths):
            for entry, class_name in self._entries(path, content, len(builder)):
                builder.add(entry._replace(label=numbers.setdefault(class_name, len(numbers))), content.codec)
            declared.update(content.class_names or ())
            for name, reason in content.left_out.items():
                aside[f"{self.walk.relative(path)}/{name}"] = reason
        if not len(builder):
            raise UserError(f"{_list_archives(self.walk, paths)}: no images.")
        if classes is None:
            classes = tuple(sorted(numbers))
            self._report_unused(declared - set(numbers) if declared & set(numbers) else set())
        return builder.build(classes, aside, self._labels(numbers, classes, paths))

    def _contents(self, paths: list[Path]) -> Iterator[tuple[Path, ArchiveContent]]:
        for path in paths:
            self.walk.record(path)
            self.walk.record(path.parent)
        workers = os.cpu_count() or 1
        with progress_bar(f"Listing the {self.form.title}", len(paths)) as advance:
            read = prefetch_map(self.form.read, paths, workers, ahead=workers)
            for path, content in zip(paths, read, strict=True):
                yield path, content
                advance(1)

    def _entries(self, path: Path, content: ArchiveContent, first: int) -> Iterator[tuple[Entry, str]]:
        """Yield the entries of an archive without labels, each with the name of its class.

        Images without names get their numbers in the split, of which `first` is the archive's first.
        """
        archive = self.walk.relative(path)
        time, length = path.stat().st_mtime_ns, len(os.fsencode(archive))
        names: dict[Label, str] = {}
        for number, sample in enumerate(content.samples, start=first):
            name = f"{number:08d}" if sample.name is None else sample.name
            try:
                class_name = self._class_of(sample, content, names)
                name = self.naming.image_name(name, class_name)
            except UserError as error:
                raise UserError(f"{path}: {name}: {error}") from error
            path_there = f"{archive}/{name}"
            entry = Entry(path_there, -1, sample.size, time, sample.offset, length, sample.inner)
            yield entry, class_name

    def _class_of(self, sample: Sample, content: ArchiveContent, names: dict[Label, str]) -> str:
        label = sample.label
        if label is None or not sample.is_labelled:
            raise UserError("it has no label.")
        if label not in names:
            names[label] = composed(self.naming.class_of(label, content, self.form))
        return names[label]

    def _labels(self, names: Iterable[str], classes: tuple[str, ...], paths: list[Path]) -> NDArray[np.int64]:
        """Return the label of each name among the classes."""
        matcher, labels = ClassMatcher(classes), []
        for name in names:
            label = matcher.label(name)
            if label is None:
                raise UserError(
                    f"{_list_archives(self.walk, paths)}: there is no class '{name}' among the training"
                    " images."
                )
            labels.append(label)
        return np.array(labels, np.int64)

    def _report_unused(self, unused: set[str]) -> None:
        if unused:
            names = sorted(unused)
            more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
            self.walk.notes.append(
                f"{self.walk.root}: no training images of {', '.join(names[:SHOWN])}{more}: left out."
            )


def _splits(walk: Walk, archives: Archives) -> tuple[list[Path], list[Path]]:
    """Return the archives of the training and of the validation images.

    Raises `UserError` where their names leave open what is meant.
    """
    groups: dict[str, list[Path]] = defaultdict(list)
    bases: dict[PurePath, None] = {}
    for path in archives.paths:
        relative = PurePath(walk.relative(path))
        groups[_split_name(relative)].append(path)
        bases[_base(relative)] = None
    if len(bases) > 1:
        folders = ", ".join(str(walk.root / base) for base in list(bases)[:SHOWN])
        raise UserError(
            f"{walk.root}: archives of several data sets: {folders}. Give one: data.root=<folder>."
        )
    kinds = {name: split_kind(name) for name in groups if name}
    train = [name for name, kind in kinds.items() if kind is SplitKind.train]
    val = sorted(set(kinds) - set(train), key=lambda name: split_preference(name, kinds[name]))
    if len(train) > 1:
        raise UserError(f"{walk.root}: {' and '.join(train)} are both named as training images.")
    if not train and "" in groups:
        if val:
            raise UserError(
                f"{walk.root}: {_list_archives(walk, groups[val[0]])} is named as a split,"
                f" {_list_archives(walk, groups[''])} is not. Put train into the names of the training"
                " archives."
            )
        train = [""]
    chosen = [name for name in val if _is_labelled(archives.form, kinds[name], groups[name])][:1]
    unused = [name for name in groups if name not in (*train, *chosen)]
    if unused:
        listed = ", ".join(_list_archives(walk, groups[name]) for name in unused)
        walk.notes.append(f"{walk.root}: {listed} not used.")
    for name in (*train, *chosen):
        _report_missing(walk, groups[name])
    return groups[train[0]] if train else [], groups[chosen[0]] if chosen else []


def _split_name(path: PurePath) -> str:
    """Return the word that tells the split of an archive: of its name, or a folder's; "" without one."""
    found = [word for part in (path.stem, *reversed(path.parts[:-1])) for word in _split_words(part)]
    return found[0] if found else ""


def _split_words(name: str) -> list[str]:
    """Return the words of a name that tell a split: train of Imagenet64_train_part1_npz."""
    return [word for word in re.findall("[a-z]+", name.casefold()) if split_kind(word)]


def _base(path: PurePath) -> PurePath:
    """Return the folder of the data set: that of an archive, without those that are splits."""
    return PurePath(*(part for part in path.parts[:-1] if not _split_words(part)))


def _is_labelled(form: ArchiveForm, kind: SplitKind | None, paths: list[Path]) -> bool:
    """Return False for test images without labels, as contests have them."""
    if kind is not SplitKind.test:
        return True
    return any(sample.is_labelled for sample in form.read(paths[0]).samples)


def _report_missing(walk: Walk, paths: list[Path]) -> None:
    """Note files that are missing from a set of numbered ones: train-00000-of-00294, train-0000."""
    numbers = {int(number[0]) for path in paths if (number := re.findall(r"\d+", path.stem)[-1:])}
    if not PART.search(paths[0].name) and len(numbers) == len(paths) <= max(numbers) - min(numbers):
        walk.notes.append(f"{walk.root}: numbers are missing among {_list_archives(walk, paths)}.")
    totals = {int(found[1]) for path in paths if (found := PART.search(path.name))}
    if len(totals) == 1 and len(paths) < (total := totals.pop()):
        walk.notes.append(
            f"{walk.root}: only {len(paths)} of {total} files of {_list_archives(walk, paths)} are present."
        )


def _list_archives(walk: Walk, paths: list[Path]) -> str:
    return list_names([walk.relative(path) for path in paths], most=1)


def _natural(path: Path) -> list[tuple[int, str]]:
    """Return a key that sorts batch_2 before batch_10."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", str(path))]
