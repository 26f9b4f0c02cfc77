"""Opening a data set from its pack or its files, with and without a scan."""

from dataclasses import replace
from pathlib import Path

import pytest

from alexnet.config import DataConfig, PackFormat, PrepareConfig
from alexnet.data import scan as scan_module
from alexnet.data.loading import load_image_data, load_val_data, open_data
from alexnet.data.pack_writer import make_pack
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
