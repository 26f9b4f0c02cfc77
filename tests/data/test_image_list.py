"""Lists of images: order, parts, reading, fingerprint."""

from pathlib import Path

import numpy as np
import pytest

from alexnet.data.folders import list_folders
from alexnet.data.image import ImageError
from alexnet.data.image_list import Entry, ImageList, check_classes, fingerprint
from alexnet.data.walk import Walk
from alexnet.errors import UserError
from conftest import save_image


def test_order_is_of_names_whatever_holds_them(tmp_path: Path) -> None:
    """So that the same seed draws the same images from folders and from tars."""
    names = [("b/z/1.jpg", 0), ("a.tar/9.jpg", 0), ("a/5.jpg", 1), ("b/0.jpg", 1)]
    images = ImageList.of(tmp_path, ("x", "y"), [Entry(path, label, 1) for path, label in names])
    assert [images.path(row) for row in range(4)] == ["b/z/1.jpg", "a.tar/9.jpg", "b/0.jpg", "a/5.jpg"]
    assert images.labels.tolist() == [0, 0, 1, 1]


def test_without(image_tree: Path) -> None:
    train, _ = list_folders(Walk(image_tree), 0.1)
    less = train.without([0])
    assert (len(less), less.path(0)) == (11, "train/cat/cat1.jpg")
    assert less.sizes.tolist() == [(image_tree / less.path(row)).stat().st_size for row in range(len(less))]
    check_classes(train)
    with pytest.raises(UserError, match="Class 'cat'"):
        check_classes(train.select(train.labels == 1))
    assert len(train.without([])) == 12


def test_reading(image_tree: Path, tmp_path: Path) -> None:
    """From a file of its own, and from the middle of another."""
    data = (image_tree / "train/cat/cat0.jpg").read_bytes()
    (tmp_path / "holds.tar").write_bytes(b"#" * 1000 + data + b"#" * 50)
    alone = Entry("images/train/cat/cat0.jpg", 0, len(data))
    inside = Entry("holds.tar/deep/cat0.jpg", 1, len(data), 0, 1000, len("holds.tar"))
    missing = Entry("images/train/cat/none.jpg", 1, 1)
    images = ImageList.of(tmp_path, ("x", "y"), [alone, inside, missing])
    np.testing.assert_array_equal(images.decode(0, 32), images.decode(1, 32))
    with pytest.raises(ImageError, match="No such file"):
        images.decode(2, 32)


def test_an_unreadable_file(tmp_path: Path) -> None:
    """A folder in the place of a file stands for one without permission, which root does not feel."""
    (tmp_path / "a.jpg").mkdir()
    images = ImageList.of(tmp_path, ("x", "y"), [Entry("a.jpg", 0, 1)])
    with pytest.raises(ImageError, match="Is a directory"):
        images.decode(0, 32)


def test_fingerprint_is_of_the_data_not_of_the_place(image_tree: Path) -> None:
    before = fingerprint(*list_folders(Walk(image_tree), 0.1))
    moved = image_tree.rename(image_tree.with_name("elsewhere"))
    assert fingerprint(*list_folders(Walk(moved), 0.1)) == before
    save_image(moved / "train/cat/cat0.jpg", np.random.default_rng(9), (90, 90))
    assert fingerprint(*list_folders(Walk(moved), 0.1)) != before
