"""Opening a data set from its pack or its files, with and without a scan."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from alexnet.config import DataConfig, PackFormat, PrepareConfig
from alexnet.data import scan as scan_module
from alexnet.data.loading import load_image_data, open_data
from alexnet.data.pack_writer import make_pack
from alexnet.data.val_data import load_val_data
from alexnet.errors import UserError
from conftest import compose_config


@pytest.fixture
def config(image_tree: Path) -> DataConfig:
    """A data set with an unreadable image in each split, and a file that is not an image in training."""
    (image_tree / "train/cat/cat0.jpg").write_bytes(b"")
    (image_tree / "val/dog/dog0.jpg").write_bytes(b"")
    (image_tree / "train/dog/notes.txt").write_text("x")
    given = (f"data.root={image_tree}", f"data.cache={image_tree.parent}/cache", "data.resize_size=32")
    return compose_config("data=folder", *given, "data.max_unreadable=0.2").data


def test_without_a_scan_only_what_is_known_is_left_out(
    config: DataConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_val_data(config)
    monkeypatch.setattr(scan_module, "_scan", lambda *_: pytest.fail("decoded"))
    data = open_data(config, scan=False)
    assert (len(data.train), len(data.val), data.listed) == (12, 5, 18)
    assert (data.unreadable, data.statistics) == (None, None)
    assert data.excluded == {
        "train/dog/notes.txt": "not an image by its name",
        "val/dog/dog0.jpg": "empty file",
    }


def test_one_split_from_files_and_from_a_pack(config: DataConfig) -> None:
    files = open_data(config, ("val",))
    make_pack(PrepareConfig(config, PackFormat.raw, 90))
    packed = open_data(config, ("val",))
    assert packed.origin.startswith("raw pack ")
    for data in (files, packed):
        assert (len(data.val), data.listed, data.unreadable) == (5, 18, 1)
        assert data.excluded == {"val/dog/dog0.jpg": "empty file"}


def test_nothing_is_downloaded(tmp_path: Path) -> None:
    config = compose_config("data=imagenette", f"data.root={tmp_path}", f"data.cache={tmp_path}").data
    with pytest.raises(UserError, match="imagenette is not there"):
        open_data(config, download=False)
    assert list(tmp_path.iterdir()) == []


def test_a_pack_of_another_size(config: DataConfig) -> None:
    folder = make_pack(PrepareConfig(config, PackFormat.raw, 90)).folder
    with pytest.raises(UserError, match="a pack of images of 32 pixels, not 64"):
        load_image_data(replace(config, pack=str(folder), resize_size=64))


def test_hold_out_takes_the_same_part_of_each_class_from_files_and_from_a_pack(image_tree: Path) -> None:
    given = (f"data.root={image_tree}", f"data.cache={image_tree.parent}/cache", "data.resize_size=32")
    config = compose_config("data=folder", *given, "data.hold_out=0.34").data
    whole = load_image_data(replace(config, hold_out=None))
    from_files = load_image_data(config)
    make_pack(PrepareConfig(replace(config, hold_out=None), PackFormat.raw, 90))
    from_pack = load_image_data(config)
    assert "pack" in from_pack.origin
    for data in (from_files, from_pack):
        train, val = ({split.path(i) for i in range(len(split))} for split in (data.train, data.val))
        assert train | val == {whole.train.path(i) for i in range(len(whole.train))}
        assert not train & val
        per_class = np.bincount(whole.train.labels)
        assert np.bincount(data.val.labels).tolist() == [round(0.34 * count) for count in per_class]
        assert "34% of the training images" in data.origin
    assert [from_files.val.path(i) for i in range(len(from_files.val))] == [
        from_pack.val.path(i) for i in range(len(from_pack.val))
    ]
    out, read = np.empty((2, 3, 32, 32), np.uint8)
    label = from_files.val.read(0, out)
    row = [whole.train.path(i) for i in range(len(whole.train))].index(from_files.val.path(0))
    assert whole.train.read(row, read) == label
    assert (out == read).all()
