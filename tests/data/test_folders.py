"""Listing class folders, and refusing what cannot be trained on."""

import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from alexnet.data.folders import list_folders
from alexnet.data.image_list import ImageList, check_classes, fingerprint
from alexnet.data.walk import Walk
from alexnet.errors import UserError
from conftest import save_image


def listed(root: Path, val_fraction: float = 0.1) -> tuple[ImageList, ImageList]:
    return list_folders(Walk(root), val_fraction)


def paths(images: ImageList) -> list[str]:
    return [images.path(row) for row in range(len(images))]


def test_train_and_val_folders(image_tree: Path) -> None:
    train, val = listed(image_tree)
    assert train.classes == val.classes == ("cat", "dog")
    assert Counter(train.labels.tolist()) == {0: 6, 1: 6}
    assert Counter(val.labels.tolist()) == {0: 3, 1: 3}
    for path, label in zip(paths(train), train.labels, strict=True):
        assert path.startswith(f"train/{train.classes[label]}/")


def test_one_tree_is_split_by_class(image_tree: Path) -> None:
    train, val = listed(image_tree / "train", 0.34)
    assert Counter(train.labels.tolist()) == {0: 4, 1: 4}
    assert Counter(val.labels.tolist()) == {0: 2, 1: 2}
    assert not set(paths(train)) & set(paths(val))
    again, held = listed(image_tree / "train", 0.34)
    assert (paths(again), paths(held)) == (paths(train), paths(val))


def test_files_that_are_no_images_are_named(image_tree: Path) -> None:
    (image_tree / "train/cat/notes.txt").write_text("x")
    (image_tree / "train/.DS_Store").write_text("x")
    shutil.copy(image_tree / "train/cat/cat0.jpg", image_tree / "train/cat/._cat0.jpg")
    train, _ = listed(image_tree)
    assert set(train.ignored) == {"train/cat/notes.txt", "train/.DS_Store", "train/cat/._cat0.jpg"}
    assert len(train) == 12


def test_nested_folders_belong_to_their_class(image_tree: Path) -> None:
    save_image(image_tree / "train/cat/more/deep.png", np.random.default_rng(0))
    train, _ = listed(image_tree)
    assert Counter(train.labels.tolist()) == {0: 7, 1: 6}


def test_names_in_any_script(image_tree: Path) -> None:
    """And a name that is no valid UTF-8."""
    rng = np.random.default_rng(0)
    save_image(image_tree / "train/cat/кошка 猫.jpg", rng)
    save_image(image_tree / "train/cat/z.jpg", rng)
    odd = b"train/cat/\xff\xfe.jpg"
    (image_tree / "train/cat/z.jpg").rename(image_tree / odd.decode(errors="surrogateescape"))
    train, _ = listed(image_tree)
    assert "train/cat/кошка 猫.jpg" in paths(train)
    row = [train.encoded_path(row) for row in range(len(train))].index(odd)
    assert train.decode(row, 16).shape == (3, 16, 16)
    assert train.path(row) == "train/cat/\\xff\\xfe.jpg"
    assert fingerprint(train)


def test_a_link_to_nowhere_is_an_image_that_cannot_be_read(image_tree: Path) -> None:
    (image_tree / "train/cat/gone.jpg").symlink_to("/nowhere/at/all.jpg")
    train, _ = listed(image_tree)
    assert "train/cat/gone.jpg" in paths(train)


def test_refusals(image_tree: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no class folders"):
        listed(tmp_path / "empty")
    (image_tree / "train/bird").mkdir()
    with pytest.raises(UserError, match=r"train/bird: no images in this class folder"):
        listed(image_tree)
    (image_tree / "train/bird").rmdir()
    save_image(image_tree / "val/fish/a.jpg", np.random.default_rng(0))
    with pytest.raises(UserError, match=r"val/fish: there is no such class among the training images"):
        listed(image_tree)


def test_single_image_cannot_be_split(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        save_image(tmp_path / name / "a.jpg", np.random.default_rng(0))
    with pytest.raises(UserError, match="Class 'cat'"):
        listed(tmp_path)


def test_one_class_is_nothing_to_learn(image_tree: Path) -> None:
    for split in ("train", "val"):
        shutil.rmtree(image_tree / split / "dog")
    with pytest.raises(UserError, match="only one class, 'cat'"):
        check_classes(listed(image_tree)[0])
