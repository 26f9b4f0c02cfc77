"""Packs: the same images as the files, whole or not at all."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from alexnet.config import DataConfig
from alexnet.data import pack as pack_module
from alexnet.data.dataset import load_image_data
from alexnet.data.pack import make_pack, open_pack, pack_folder
from alexnet.errors import UserError
from conftest import compose_config, save_image


def config(root: Path, *overrides: str) -> DataConfig:
    cache = f"data.cache={root.parent}/cache"
    return compose_config("data=folder", f"data.root={root}", cache, "data.stored_size=32", *overrides).data


@pytest.fixture
def bad_tree(image_tree: Path) -> Path:
    (image_tree / "train/cat/cat2.jpg").write_bytes(b"")
    (image_tree / "val/dog/dog0.jpg").write_text("no image")
    (image_tree / "train/dog/notes.txt").write_text("x")
    return image_tree


def test_holds_what_the_files_hold(bad_tree: Path) -> None:
    settings = config(bad_tree)
    files = load_image_data(settings)
    made = make_pack(settings)
    packed = load_image_data(settings)
    assert packed.origin == f"pack {made.folder}"
    assert (packed.classes, packed.fingerprint) == (files.classes, files.fingerprint)
    assert packed.excluded == files.excluded
    for name in ("mean", "eigenvectors", "eigenvalues"):
        np.testing.assert_array_equal(getattr(packed.statistics, name), getattr(files.statistics, name))
    for ours, theirs in ((packed.train, files.train), (packed.val, files.val)):
        assert len(ours) == len(theirs)
        for index in range(len(ours)):
            (square, *rest), (expected, *same) = ours[index], theirs[index]
            assert torch.equal(square, expected)
            assert rest == same


def test_a_pack_that_is_not_there(image_tree: Path) -> None:
    with pytest.raises(UserError, match=r"data.pack=/nowhere: there is no pack"):
        load_image_data(config(image_tree, "data.pack=/nowhere"))


def test_each_setting_has_its_own(image_tree: Path) -> None:
    folders = {
        pack_folder(config(image_tree, *overrides))
        for overrides in ([], ["data.stored_size=64"], ["data.val_fraction=0.2"], ["data.name=other"])
    }
    assert len(folders) == 4
    assert pack_folder(config(image_tree, "data.pack=/somewhere")) == Path("/somewhere")


def test_goes_on_after_a_kill(bad_tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pack_module, "CHUNK", 2)
    whole = make_pack(config(bad_tree, f"data.pack={bad_tree.parent}/whole"))
    settings = config(bad_tree, f"data.pack={bad_tree.parent}/stopped")
    real, read = pack_module.read_image, []

    def dying(path: Path, size: int) -> np.ndarray:
        if len(read) == 7:
            raise KeyboardInterrupt
        read.append(path)
        return real(path, size)

    monkeypatch.setattr(pack_module, "read_image", dying)
    with pytest.raises(KeyboardInterrupt):
        make_pack(settings)
    assert not pack_folder(settings).exists()
    with pytest.raises(UserError, match="there is no pack"):
        load_image_data(settings)

    again: list[Path] = []
    monkeypatch.setattr(pack_module, "read_image", lambda path, size: again.append(path) or real(path, size))
    stopped = make_pack(settings)
    assert len(set(again)) < 18  # of 12 + 6 files, not all once more
    np.testing.assert_array_equal(stopped.train.images, whole.train.images)
    np.testing.assert_array_equal(stopped.val.labels, whole.val.labels)
    assert stopped.excluded == whole.excluded


def test_begins_again_where_the_data_has_changed(image_tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = config(image_tree)
    monkeypatch.setattr(pack_module, "_write_statistics", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        make_pack(settings)
    monkeypatch.undo()
    save_image(image_tree / "train/cat/new.jpg", np.random.default_rng(5))
    assert len(make_pack(settings).train.rows) == 13


def test_images_that_have_changed_since(image_tree: Path) -> None:
    settings = config(image_tree)
    folder = make_pack(settings).folder
    (image_tree / "train/cat/cat1.jpg").unlink()
    with pytest.raises(UserError, match="have changed since they were packed"):
        load_image_data(settings)
    moved = image_tree.rename(image_tree.with_name("moved"))
    assert not image_tree.exists()
    assert load_image_data(settings).origin == f"pack {folder}"  # a pack stands without its files
    assert moved.is_dir()


@pytest.mark.parametrize("harm", ["truncate", "manifest", "labels", "version"])
def test_a_damaged_pack_is_refused(image_tree: Path, harm: str) -> None:
    folder = make_pack(config(image_tree)).folder
    if harm == "truncate":
        images = folder / "train_images.npy"
        images.write_bytes(images.read_bytes()[:-100])
    elif harm == "manifest":
        (folder / "manifest.json").write_text("{")
    elif harm == "labels":
        np.save(folder / "val_labels.npy", np.zeros(3, np.int64))
    else:
        manifest = json.loads((folder / "manifest.json").read_text())
        (folder / "manifest.json").write_text(json.dumps(manifest | {"version": 99}))
    with pytest.raises(UserError, match="not a whole pack"):
        open_pack(folder)


def test_too_little_disk(image_tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = pack_module.shutil.disk_usage(image_tree)
    monkeypatch.setattr(pack_module.shutil, "disk_usage", lambda _: usage._replace(free=1000))
    with pytest.raises(UserError, match=r"The pack needs .* GB .*data.pack="):
        make_pack(config(image_tree))


def test_a_class_of_bad_files(image_tree: Path) -> None:
    for path in (image_tree / "train/cat").iterdir():
        path.write_bytes(b"")
    with pytest.raises(UserError, match="Class 'cat'"):
        make_pack(config(image_tree))
