"""Copies on disk are used as they are; what cannot be downloaded is reported."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torchvision.datasets
from PIL import Image

from alexnet.data.fetching import ensure_fetched
from alexnet.data.locations import require_root
from alexnet.errors import UserError
from conftest import PROJECT, compose_config, save_image


def data(*overrides: str) -> Any:
    return compose_config(*overrides).data


@pytest.mark.parametrize("name", ["cifar10", "imagenette"])
@pytest.mark.parametrize("inside", ["", "imagenette2-320"])
def test_a_copy_on_disk(image_tree: Path, name: str, inside: str) -> None:
    root = image_tree
    if inside:
        root = image_tree.parent / "root"
        root.mkdir()
        image_tree.rename(root / inside)
    assert ensure_fetched(data(f"data={name}", f"data.root={root}"), 1) == root / inside


def test_a_copy_may_be_read_only_and_a_half_written_one_is_none(image_tree: Path) -> None:
    half = image_tree.parent / "root" / "png.123.partial"
    half.parent.mkdir()
    image_tree.rename(half)
    settings = data("data=imagenette", f"data.root={half.parent}")
    assert settings.find(half.parent) is None
    whole = half.rename(half.parent / "png")
    assert ensure_fetched(settings, 1) == whole
    assert not (half.parent / ".lock").exists()


def test_folder_is_taken_as_given(tmp_path: Path) -> None:
    assert ensure_fetched(data("data=folder", f"data.root={tmp_path}"), 1) == tmp_path


@pytest.mark.parametrize("name", ["synthetic", "cifar10", "folder"])
def test_nothing_is_made_in_a_missing_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match="there is no such folder"):
        ensure_fetched(data(f"data={name}", f"data.root={tmp_path}/nowhere"), 1)
    assert not (tmp_path / "nowhere").exists()


def test_a_root_that_leaves_data_is_not_inside_it() -> None:
    with pytest.raises(UserError, match="there is no such folder"):
        require_root(data("data=synthetic", f"data.root={PROJECT}/data/../nowhere"))


@pytest.mark.parametrize(("name", "kind"), [("cifar10", "CIFAR10"), ("imagenette", "Imagenette")])
def test_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, kind: str) -> None:
    def unreachable(*_args: Any, **_kwargs: Any) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr(getattr(torchvision.datasets, kind), "__init__", unreachable)
    with pytest.raises(UserError, match=r"could not be downloaded .*no route to host.*Put a copy"):
        ensure_fetched(data(f"data={name}", f"data.root={tmp_path}"), 1)


class _Cifar10:
    """Two images in each split, in torchvision's form."""

    base_folder = "cifar-10-batches-py"
    classes = ("cat", "dog")

    def __init__(self, root: str, train: bool, download: bool) -> None:
        self.train = train

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> tuple[Image.Image, int]:
        if index > 1:
            raise IndexError
        return Image.new("RGB", (32, 32), (index * 100, self.train * 50, 7)), index


def test_cifar10_from_torchvisions_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torchvision.datasets, "CIFAR10", _Cifar10)
    folder = ensure_fetched(data("data=cifar10", f"data.root={tmp_path}"), 1)
    pixels = np.asarray(Image.open(folder / "train/dog/00001.png"))
    assert (pixels == (100, 50, 7)).all()
    assert ensure_fetched(data("data=cifar10", f"data.root={tmp_path}"), 1) == folder
    save_image(folder / "train/dog/x.png", np.random.default_rng(0))
    assert ensure_fetched(data("data=cifar10", f"data.root={tmp_path}"), 1) == folder


def stopped(*_args: Any, **_kwargs: Any) -> None:
    raise KeyboardInterrupt


def test_cifar10_after_an_interruption(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torchvision.datasets, "CIFAR10", _Cifar10)
    settings = data("data=cifar10", f"data.root={tmp_path}")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Image.Image, "save", stopped)
        ensure_fetched(settings, 1)
    folder = ensure_fetched(settings, 1)
    assert len(list(folder.rglob("*.png"))) == 4
    assert not list(tmp_path.glob("*.partial"))


def test_an_interrupted_extraction_is_not_taken_for_complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wnids, starts = ["n01440764", "n02102040"], []

    def extract(_url: str, root: str, **_: Any) -> None:
        starts.append(root)
        for wnid in wnids:
            save_image(Path(root) / "imagenette2-320/train" / wnid / "a.JPEG", np.random.default_rng(0))
            if len(starts) == 1:
                raise KeyboardInterrupt

    monkeypatch.setattr(torchvision.datasets.imagenette, "download_and_extract_archive", extract)
    settings = data("data=imagenette", f"data.root={tmp_path}")
    with pytest.raises(KeyboardInterrupt):
        ensure_fetched(settings, 1)
    folder = ensure_fetched(settings, 1)
    assert folder == tmp_path / "imagenette2-320"
    assert sorted(path.name for path in (folder / "train").iterdir()) == wnids
    assert not list(tmp_path.glob("*.partial"))


def test_a_folder_of_that_name_that_is_not_a_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def extract(_url: str, root: str, **_: Any) -> None:
        save_image(Path(root) / "imagenette2-320/train/n01440764/a.JPEG", np.random.default_rng(0))

    monkeypatch.setattr(torchvision.datasets.imagenette, "download_and_extract_archive", extract)
    (tmp_path / "imagenette2-320").mkdir()
    (tmp_path / "imagenette2-320/own.txt").write_text("kept")
    with pytest.raises(UserError, match=r"could not be downloaded \(OSError: .*imagenette2-320"):
        ensure_fetched(data("data=imagenette", f"data.root={tmp_path}"), 1)
    assert (tmp_path / "imagenette2-320/own.txt").read_text() == "kept"
