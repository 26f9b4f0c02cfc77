"""Listing class folders, and refusing what cannot be trained on."""

import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from alexnet.data.listing import check_classes, fingerprint, list_splits
from alexnet.errors import UserError
from conftest import save_image


def test_train_and_val_folders(image_tree: Path) -> None:
    train, val = list_splits(image_tree, 0.1)
    assert train.classes == val.classes == ("cat", "dog")
    assert Counter(train.labels) == {0: 6, 1: 6}
    assert Counter(val.labels) == {0: 3, 1: 3}
    for path, label in zip(train.paths, train.labels, strict=True):
        assert path.startswith(f"train/{train.classes[label]}/")


def test_one_tree_is_split_by_class(image_tree: Path) -> None:
    train, val = list_splits(image_tree / "train", 0.34)
    assert Counter(train.labels) == {0: 4, 1: 4}
    assert Counter(val.labels) == {0: 2, 1: 2}
    assert not set(train.paths) & set(val.paths)
    assert list_splits(image_tree / "train", 0.34) == (train, val)


def test_files_that_are_no_images_are_named(image_tree: Path) -> None:
    (image_tree / "train/cat/notes.txt").write_text("x")
    (image_tree / "train/.DS_Store").write_text("x")
    train, _ = list_splits(image_tree, 0.1)
    assert set(train.ignored) == {"train/cat/notes.txt", "train/.DS_Store"}
    assert len(train) == 12


def test_nested_folders_belong_to_their_class(image_tree: Path) -> None:
    save_image(image_tree / "train/cat/more/deep.png", np.random.default_rng(0))
    train, _ = list_splits(image_tree, 0.1)
    assert Counter(train.labels) == {0: 7, 1: 6}


def test_refusals(image_tree: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no class folders"):
        list_splits(tmp_path / "empty", 0.1)
    (image_tree / "train/bird").mkdir()
    with pytest.raises(UserError, match=r"train/bird: no images in this class folder"):
        list_splits(image_tree, 0.1)
    (image_tree / "train/bird").rmdir()
    save_image(image_tree / "val/fish/a.jpg", np.random.default_rng(0))
    with pytest.raises(UserError, match=r"val/fish: a class that is not among the training images"):
        list_splits(image_tree, 0.1)


def test_single_image_cannot_be_split(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        save_image(tmp_path / name / "a.jpg", np.random.default_rng(0))
    with pytest.raises(UserError, match="Class 'cat'"):
        list_splits(tmp_path, 0.1)


def test_without(image_tree: Path) -> None:
    train, _ = list_splits(image_tree, 0.1)
    assert len(train.without({"train/cat/cat0.jpg"})) == 11
    check_classes(train)
    with pytest.raises(UserError, match="Class 'cat'"):
        check_classes(train.without({path for path in train.paths if "/cat/" in path}))


def test_one_class_is_nothing_to_learn(image_tree: Path) -> None:
    for split in ("train", "val"):
        shutil.rmtree(image_tree / split / "dog")
    with pytest.raises(UserError, match="only one class, 'cat'"):
        check_classes(list_splits(image_tree, 0.1)[0])


def test_fingerprint_is_of_the_data_not_of_the_place(image_tree: Path) -> None:
    before = fingerprint(*list_splits(image_tree, 0.1))
    moved = image_tree.rename(image_tree.with_name("elsewhere"))
    assert fingerprint(*list_splits(moved, 0.1)) == before
    save_image(moved / "train/cat/cat0.jpg", np.random.default_rng(9), (90, 90))
    assert fingerprint(*list_splits(moved, 0.1)) != before
