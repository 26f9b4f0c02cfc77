"""The cached list of images, and when it is made again."""

import os
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from alexnet.config import DataConfig
from alexnet.data import listing as listing_module
from alexnet.data.listing import list_images
from alexnet.data.walk import Walk
from alexnet.errors import UserError
from conftest import compose_config, save_image


@pytest.fixture
def config(image_tree: Path) -> DataConfig:
    for path in (image_tree, *image_tree.rglob("*")):  # as if all had been there for long
        os.utime(path, (1_600_000_000, 1_600_000_000))
    return compose_config(
        "data=folder", f"data.root={image_tree}", f"data.cache={image_tree.parent}/cache"
    ).data


@pytest.fixture
def walks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    made: list[int] = []
    real = listing_module.list_folders
    monkeypatch.setattr(listing_module, "list_folders", lambda *args: made.append(1) or real(*args))
    return made


def test_the_second_time_nothing_is_listed(config: DataConfig, walks: list[int]) -> None:
    root = Path(config.root)
    first, again = list_images(config, root), list_images(config, root)
    assert len(walks) == 1
    for new, cached in ((first.train, again.train), (first.val, again.val)):
        assert (new.classes, new.ignored, new.key()) == (cached.classes, cached.ignored, cached.key())
        np.testing.assert_array_equal(new.decode(2, 16), cached.decode(2, 16))
    assert first.mtimes == again.mtimes


@pytest.mark.parametrize(
    "change",
    [
        lambda root: save_image(root / "train/cat/new.jpg", np.random.default_rng(0)),
        lambda root: (root / "val/dog/dog1.jpg").unlink(),
        lambda root: (root / "train/cat/cat1.jpg").rename(root / "train/cat/cat9.jpg"),
        lambda root: save_image(root / "train/cat/cat1.jpg", np.random.default_rng(0)),
        lambda root: save_image(root / "train/bird/bird.jpg", np.random.default_rng(0)),
        lambda root: (root / "train/cat/cat0.jpg").rename(root / "train/dog/cat0.jpg"),
    ],
    ids=["added", "removed", "renamed", "overwritten", "a new class", "moved"],
)
def test_a_change_is_noticed(config: DataConfig, walks: list[int], change: Callable[[Path], None]) -> None:
    root = Path(config.root)
    before = list_images(config, root).train.key(), list_images(config, root).val.key()
    change(root)
    after = list_images(config, root)
    assert len(walks) == 2
    assert (after.train.key(), after.val.key()) != before


def test_what_is_just_being_written_is_not_cached(
    image_tree: Path, config: DataConfig, walks: list[int]
) -> None:
    save_image(image_tree / "train/cat/new.jpg", np.random.default_rng(0))
    list_images(config, image_tree)
    list_images(config, image_tree)
    assert len(walks) == 2


def test_a_damaged_list_is_made_again(config: DataConfig, walks: list[int]) -> None:
    root = Path(config.root)
    list_images(config, root)
    (path,) = (root.parent / "cache/lists").glob("*.npz")
    path.write_bytes(path.read_bytes()[:300])
    assert len(list_images(config, root).train) == 12
    assert len(walks) == 2


def test_a_cache_that_cannot_be_written_to(config: DataConfig, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    config.cache = str(tmp_path / "file")
    with pytest.raises(
        UserError, match=r"Cannot write to the data cache .*/file/lists: .*\. Give another: data\.cache="
    ):
        list_images(config, Path(config.root))


def test_a_source_s_own_keys_are_part_of_what_is_listed(image_tree: Path, tmp_path: Path) -> None:
    """Another value of one is another list: none is taken from the cache."""

    @dataclass
    class Part(DataConfig):
        only: int = 1

        def list_files(self, walk: Walk) -> Any:
            listed.append(self.only)

    listed: list[int] = []
    config = compose_config("data=folder", f"data.root={image_tree}", f"data.cache={tmp_path}").data
    settings = {key.name: getattr(config, key.name) for key in fields(config)}
    for only in (1, 2, 2):
        list_images(Part(**settings, only=only), image_tree)
    assert listed[:2] == [1, 2]
