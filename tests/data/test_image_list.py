"""Lists of images: order, parts, reading, fingerprint."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from alexnet.data.folders import list_folders
from alexnet.data.image import ImageError
from alexnet.data.image_list import Entry, ImageList, check_classes, fingerprint
from alexnet.data.names import Names
from alexnet.data.pack_writer import _write_names
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


def test_names_are_as_those_of_a_list(monkeypatch: pytest.MonkeyPatch) -> None:
    """In any order, more than once, empty ones, and over the ends of what is gathered at a time."""
    monkeypatch.setattr("alexnet.data.names.CHUNK", 16)
    rng = np.random.default_rng(0)
    plain = [rng.bytes(int(length)) for length in rng.integers(0, 20, 100)]
    names = Names(np.frombuffer(b"".join(plain), np.uint8), np.cumsum([len(name) for name in plain]))
    assert list(names) == plain
    rows = rng.integers(0, 100, 250)
    assert list(names.select(rows)) == [plain[row] for row in rows]
    assert list(names.select(np.zeros(0, np.int64))) == []


def test_a_list_takes_few_bytes_an_image(tmp_path: Path) -> None:
    """A million Python objects would take ten times as much: ImageNet's names are then in every process."""
    count, tar = 40_000, "ILSVRC2012_img_train.tar"
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    entries = (
        Entry(f"{tar}/n{row % 40:08d}/n{row % 40:08d}_{row}.JPEG", row % 40, 1, 0, row, len(tar))
        for row in range(count)
    )
    images = ImageList.of(tmp_path, tuple(map(str, range(40))), entries)
    after, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(images) == count
    assert (after - before) / count < 100
    assert (peak - before) / count < 300


def test_names_of_a_pack(image_tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """numpy.load reads what numpy.save would have written."""
    monkeypatch.setattr("alexnet.data.pack_writer.NAMES_AT_A_TIME", 5)
    train, _ = list_folders(Walk(image_tree), 0.1)
    _write_names(tmp_path / "ours.npy", train)
    np.save(tmp_path / "numpys.npy", np.array([train.encoded_path(row) for row in range(12)]))
    assert (tmp_path / "ours.npy").read_bytes() == (tmp_path / "numpys.npy").read_bytes()
