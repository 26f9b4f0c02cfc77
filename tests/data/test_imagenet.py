"""ImageNet in every form that people have it, in small: the same images, in the same order, everywhere."""

import os
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from alexnet.config import DataConfig
from alexnet.data import imagenet, listing
from alexnet.data.image_list import Entry, ImageList, fingerprint
from alexnet.data.imagenet import _by_folder, completeness, list_imagenet
from alexnet.data.imagenet_classes import class_names
from alexnet.data.loading import load_image_data
from alexnet.data.walk import Walk
from alexnet.errors import UserError
from conftest import compose_config, real_images, save_image
from imagenet_forms import (
    FORMS,
    WNIDS,
    class_folders,
    devkit_tar,
    draw_pictures,
    kaggle,
    official,
    train_tar,
    truth,
    val_tar,
)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_pictures(tmp_path_factory.mktemp("pictures"))


def listed(root: Path) -> tuple[ImageList, ImageList]:
    return list_imagenet(Walk(root))


def name(images: ImageList, row: int) -> str:
    return images.path(row).rpartition("/")[2]


@pytest.mark.parametrize("form", FORMS)
def test_every_form_holds_the_same(
    pictures: Path, tmp_path: Path, form: Callable[[Path, Path], Path]
) -> None:
    train, val = listed(form(pictures, tmp_path))
    assert train.classes == val.classes == WNIDS
    assert (len(train), len(val)) == (12, 6)
    known = truth(pictures)
    for row in range(6):
        assert val.classes[val.labels[row]] == known[name(val, row).removesuffix(".JPEG")]
    for images, split in ((train, "train"), (val, "val")):
        for row in range(len(images)):
            wnid = images.classes[images.labels[row]]
            original = alone(pictures / split / wnid / name(images, row))
            np.testing.assert_array_equal(images.decode(row, 24), original.decode(0, 24))
    plain = listed(pictures)
    assert [name(train, row) for row in range(12)] == [name(plain[0], row) for row in range(12)]
    assert [name(val, row) for row in range(6)] == [name(plain[1], row) for row in range(6)]
    assert fingerprint(train, val) == fingerprint(*plain)


def alone(path: Path) -> ImageList:
    return ImageList.of(path.parent, ("a", "b"), [Entry(path.name, 0, path.stat().st_size)])


def test_class_names_are_ilsvrcs_in_label_order() -> None:
    names = class_names()
    assert len(names) == 1000
    assert list(names) == sorted(names)
    assert names["n01440764"] == "tench, Tinca tinca"
    assert list(names)[65] == "n01751748"  # Caffe's val.txt begins: ILSVRC2012_val_00000001.JPEG 65
    given = real_images() / "ilsvrc2012_synsets.txt"
    assert given.read_text().split() == list(names)


def missing(root: Path) -> str:
    with pytest.raises(UserError) as refused:
        listed(root)
    return str(refused.value)


def test_what_is_missing_is_named(pictures: Path, tmp_path: Path) -> None:
    assert "Put ILSVRC2012_img_train.tar there (from image-net.org" in missing(tmp_path)
    train_tar(pictures, tmp_path)
    assert "no validation images. Put ILSVRC2012_img_val.tar there (from image-net.org" in missing(tmp_path)
    val_tar(pictures, tmp_path)
    reason = missing(tmp_path)
    assert "ILSVRC2012_img_val.tar: no file gives the classes of these images" in reason
    assert "ILSVRC2012_devkit_t12.tar.gz (from image-net.org" in reason
    assert "LOC_val_solution.csv (from Kaggle" in reason
    truth_file = tmp_path / "ILSVRC2012_validation_ground_truth.txt"
    truth_file.write_text("1\n")
    assert "meta.mat, which explains them, is not in the same folder" in missing(tmp_path)
    truth_file.unlink()
    devkit_tar(pictures, tmp_path)
    listed(tmp_path)


def test_damage_is_named(pictures: Path, tmp_path: Path) -> None:
    official(pictures, tmp_path)
    for tar in ("ILSVRC2012_img_train.tar", "ILSVRC2012_img_val.tar", "ILSVRC2012_devkit_t12.tar.gz"):
        whole = (tmp_path / tar).read_bytes()
        (tmp_path / tar).write_bytes(whole[: len(whole) // 2])
        assert f"{tar}: " in missing(tmp_path)
        assert "Download it again." in missing(tmp_path)
        (tmp_path / tar).write_bytes(whole)
    listed(tmp_path)


def test_a_ground_truth_of_other_images(pictures: Path, tmp_path: Path) -> None:
    kaggle(pictures, tmp_path)
    rng = np.random.default_rng(0)
    save_image(tmp_path / "ILSVRC/Data/CLS-LOC/val/ILSVRC2012_val_00009999.JPEG", rng)
    assert "LOC_val_solution.csv does not give the class of" in missing(tmp_path)


def test_other_classes(pictures: Path, tmp_path: Path) -> None:
    class_folders(pictures, tmp_path)
    save_image(tmp_path / "train/cat/cat.JPEG", np.random.default_rng(0))
    assert "'cat' is not one of ImageNet's 1,000 classes. For other classes: data=folder" in missing(tmp_path)


def test_completeness(pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train, val = listed(pictures)
    note = completeness(train, val)
    assert note is not None
    assert "3 of 1,000 classes, 12 of 1,281,167 training images, 6 of 50,000" in note
    for number, value in (("CLASSES", 3), ("TRAIN_IMAGES", 12), ("VAL_IMAGES", 6)):
        monkeypatch.setattr(f"alexnet.data.imagenet.{number}", value)
    assert completeness(train, val) is None


def config(root: Path, cache: Path) -> DataConfig:
    return compose_config("data=imagenet", f"data.root={root}", f"data.cache={cache}").data


def test_tars_are_looked_through_once(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "tars"
    root.mkdir()
    official(pictures, root)
    for path in (root, *root.iterdir()):
        os.utime(path, (1_600_000_000, 1_600_000_000))
    looked = []
    real = imagenet.list_imagenet
    monkeypatch.setattr(imagenet, "list_imagenet", lambda walk: looked.append(1) or real(walk))
    settings = config(root, tmp_path / "cache")
    first, again = listing.list_images(settings, root), listing.list_images(settings, root)
    assert len(looked) == 1
    np.testing.assert_array_equal(first.train.decode(7, 16), again.train.decode(7, 16))
    for touched in ("ILSVRC2012_img_val.tar", "ILSVRC2012_devkit_t12.tar.gz"):
        os.utime(root / touched, (1_600_000_001, 1_600_000_001))
        listing.list_images(settings, root)
    assert len(looked) == 3


def test_bad_images_in_a_tar(pictures: Path, tmp_path: Path) -> None:
    root = tmp_path / "tars"
    broken = tmp_path / "pictures"
    shutil.copytree(pictures, broken)
    (broken / "train/n01440764/n01440764_9.JPEG").write_bytes(b"")
    cut = broken / "train/n02102040/n02102040_10.JPEG"
    cut.write_bytes(cut.read_bytes()[:-300])
    root.mkdir()
    settings = config(official(broken, root), tmp_path / "cache")
    settings.max_unreadable = 0.2
    data = load_image_data(settings)
    tar = "ILSVRC2012_img_train.tar"
    assert data.excluded[f"{tar}/n01440764/n01440764_9.JPEG"] == "empty file"
    assert "truncated" in data.excluded[f"{tar}/n02102040/n02102040_10.JPEG"]
    assert (len(data.train), len(data.excluded)) == (10, 2)
    assert data.class_names[0] == "tench, Tinca tinca"


def test_a_tar_without_images(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    with tarfile.open(tmp_path / "ILSVRC2012_img_train.tar", "w") as tar:
        tar.add(tmp_path / "notes.txt", "notes.txt")
    assert "ILSVRC2012_img_train.tar contains no images." in missing(tmp_path)


@pytest.mark.parametrize("kind", [tarfile.LNKTYPE, tarfile.SYMTYPE])
def test_a_link_in_a_tar_is_not_left_out(tmp_path: Path, kind: bytes) -> None:
    """As of files that were the same on the disk from which they were archived."""
    save_image(tmp_path / "a.JPEG", np.random.default_rng(0))
    with tarfile.open(tmp_path / "ILSVRC2012_img_train.tar", "w") as tar:
        tar.add(tmp_path / "a.JPEG", "n01440764/a.JPEG")
        link = tarfile.TarInfo("n01440764/b.JPEG")
        link.type, link.linkname = kind, "n01440764/a.JPEG"
        tar.addfile(link)
    assert "n01440764/b.JPEG is a link to n01440764/a.JPEG inside a tar archive" in missing(tmp_path)


def test_hidden_folders_in_a_tar(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "t.tar", "w") as tar:
        for name in ("n01440764/a.JPEG", "n01440764/.thumbs/b.JPEG", "__MACOSX/n01440764/c.JPEG"):
            save_image(tmp_path / "a.JPEG", np.random.default_rng(0))
            tar.add(tmp_path / "a.JPEG", name)
    images = _by_folder(Walk(tmp_path), [tmp_path / "t.tar"])
    assert [images.path(row) for row in range(len(images))] == ["t.tar/n01440764/a.JPEG"]
    hidden = ("t.tar/n01440764/.thumbs/b.JPEG", "t.tar/__MACOSX/n01440764/c.JPEG")
    assert images.ignored == dict.fromkeys(sorted(hidden), "hidden or system folder")
