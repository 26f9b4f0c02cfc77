"""ImageNet in every form that people have it, in small: the same images, in the same order, everywhere."""

import csv
import os
import shutil
import tarfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from alexnet.config import DataConfig
from alexnet.data import listing
from alexnet.data.dataset import load_image_data
from alexnet.data.folders import Walk
from alexnet.data.image_list import ImageList, fingerprint
from alexnet.data.imagenet import class_names, completeness, list_imagenet
from alexnet.errors import UserError
from conftest import compose_config, real_images, save_image

WNIDS = ("n01440764", "n02102040", "n03000684")
IDS = {"n03000684": 1, "n01440764": 2, "n02102040": 3}  # ILSVRC2012_IDs are in another order than labels


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """train/<wnid>/ and val/<wnid>/, 4 and 2 images a class, under ImageNet's own kind of names."""
    root = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    number = 0
    for wnid in WNIDS:
        for index in (10, 9, 1001, 200):
            save_image(root / "train" / wnid / f"{wnid}_{index}.JPEG", rng)
    for _ in range(2):
        for wnid in (WNIDS[2], WNIDS[0], WNIDS[1]):
            number += 1
            save_image(root / "val" / wnid / f"ILSVRC2012_val_{number:08d}.JPEG", rng)
    return root


def flat_val(pictures: Path, folder: Path) -> None:
    folder.mkdir(parents=True)
    for path in sorted(pictures.glob("val/*/*")):
        shutil.copy(path, folder)


def truth(pictures: Path) -> dict[str, str]:
    """Name of each validation image -> wnid, in the order of the names."""
    return {path.stem: path.parent.name for path in sorted(pictures.glob("val/*/*"), key=lambda p: p.name)}


def train_tar(pictures: Path, root: Path) -> None:
    with tarfile.open(root / "ILSVRC2012_img_train.tar", "w") as outer:
        for wnid in reversed(WNIDS):
            inner = root / f"{wnid}.tar"
            with tarfile.open(inner, "w") as tar:
                for path in sorted((pictures / "train" / wnid).iterdir(), reverse=True):
                    tar.add(path, path.name)
            outer.add(inner, inner.name)
            inner.unlink()


def val_tar(pictures: Path, root: Path) -> None:
    with tarfile.open(root / "ILSVRC2012_img_val.tar", "w") as tar:
        for path in sorted(pictures.glob("val/*/*"), key=lambda p: p.name):
            tar.add(path, f"./{path.name}")


def devkit_files(pictures: Path) -> dict[str, bytes]:
    """The two files of the devkit, meta.mat in the form of the real one: all synsets, leaves first."""
    fields = [("ILSVRC2012_ID", "O"), ("WNID", "O"), ("words", "O"), ("num_children", "O")]
    synsets = np.zeros((len(WNIDS) + 1, 1), dtype=fields)
    for wnid, id_ in IDS.items():
        synsets[id_ - 1, 0] = (np.array([[id_]]), wnid, class_names()[wnid], np.array([[0]]))
    synsets[-1, 0] = (np.array([[1001]]), "n00001740", "entity", np.array([[2]]))
    mat = BytesIO()
    savemat(mat, {"synsets": synsets})
    numbers = "".join(f"{IDS[wnid]}\n" for wnid in truth(pictures).values())
    return {"meta.mat": mat.getvalue(), "ILSVRC2012_validation_ground_truth.txt": numbers.encode()}


def devkit_tar(pictures: Path, root: Path) -> None:
    with tarfile.open(root / "ILSVRC2012_devkit_t12.tar.gz", "w:gz") as tar:
        for name, data in devkit_files(pictures).items():
            member = tarfile.TarInfo(f"ILSVRC2012_devkit_t12/data/{name}")
            member.size = len(data)
            tar.addfile(member, BytesIO(data))


def kaggle_csv(pictures: Path, root: Path) -> None:
    with (root / "LOC_val_solution.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["ImageId", "PredictionString"])
        for name, wnid in sorted(truth(pictures).items(), reverse=True):
            writer.writerow([name, f"{wnid} 85 1 499 272 {wnid} 1 1 2 2"])


def official(pictures: Path, root: Path) -> Path:
    for make in (train_tar, val_tar, devkit_tar):
        make(pictures, root)
    return root


def half_extracted(pictures: Path, root: Path) -> Path:
    """The outer tar is unpacked, the inner ones are not; the devkit is."""
    train_tar(pictures, root)
    with tarfile.open(root / "ILSVRC2012_img_train.tar") as tar:
        tar.extractall(root / "train", filter="data")
    (root / "ILSVRC2012_img_train.tar").unlink()
    flat_val(pictures, root / "val")
    (root / "ILSVRC2012_devkit_t12/data").mkdir(parents=True)
    for name, data in devkit_files(pictures).items():
        (root / "ILSVRC2012_devkit_t12/data" / name).write_bytes(data)
    return root


def kaggle(pictures: Path, root: Path) -> Path:
    inside = root / "ILSVRC/Data/CLS-LOC"
    shutil.copytree(pictures / "train", inside / "train")
    flat_val(pictures, inside / "val")
    save_image(inside / "test/ILSVRC2012_test_00000001.JPEG", np.random.default_rng(0))
    kaggle_csv(pictures, root)
    return root


def kaggle_inside(pictures: Path, root: Path) -> Path:
    return kaggle(pictures, root) / "ILSVRC/Data/CLS-LOC"


def class_folders(pictures: Path, root: Path) -> Path:
    shutil.copytree(pictures, root, dirs_exist_ok=True)
    return root


def flat_beside_caffes_list(pictures: Path, root: Path) -> Path:
    shutil.copytree(pictures / "train", root / "train")
    flat_val(pictures, root / "val")
    wnids = list(class_names())
    lines = [f"{name}.JPEG {wnids.index(wnid)}\n" for name, wnid in truth(pictures).items()]
    (root / "val.txt").write_text("".join(lines))
    return root


def flat_beside_the_devkits_files(pictures: Path, root: Path) -> Path:
    shutil.copytree(pictures / "train", root / "train")
    flat_val(pictures, root / "val")
    for name, data in devkit_files(pictures).items():
        (root / name).write_bytes(data)
    return root


FORMS = (
    *(official, half_extracted, kaggle, kaggle_inside, class_folders),
    *(flat_beside_caffes_list, flat_beside_the_devkits_files),
)


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
            original = ImageListOf(pictures / split / wnid / name(images, row))
            np.testing.assert_array_equal(images.square(row, 24), original.square(0, 24))
    plain = listed(pictures)
    assert [name(train, row) for row in range(12)] == [name(plain[0], row) for row in range(12)]
    assert [name(val, row) for row in range(6)] == [name(plain[1], row) for row in range(6)]
    assert fingerprint(train, val) == fingerprint(*plain)


def ImageListOf(path: Path) -> ImageList:  # noqa: N802 - reads like a constructor
    from alexnet.data.image_list import Entry

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
    assert "Put there ILSVRC2012_img_train.tar (from image-net.org" in missing(tmp_path)
    train_tar(pictures, tmp_path)
    assert "no validation images. Put there ILSVRC2012_img_val.tar (from image-net.org" in missing(tmp_path)
    val_tar(pictures, tmp_path)
    reason = missing(tmp_path)
    assert "ILSVRC2012_img_val.tar: no file tells the classes of these images" in reason
    assert "ILSVRC2012_devkit_t12.tar.gz (from image-net.org" in reason
    assert "LOC_val_solution.csv (from Kaggle" in reason
    truth_file = tmp_path / "ILSVRC2012_validation_ground_truth.txt"
    truth_file.write_text("1\n")
    assert "meta.mat, which tells their classes, is not beside it" in missing(tmp_path)
    truth_file.unlink()
    devkit_tar(pictures, tmp_path)
    listed(tmp_path)


def test_damage_is_named(pictures: Path, tmp_path: Path) -> None:
    official(pictures, tmp_path)
    for tar in ("ILSVRC2012_img_train.tar", "ILSVRC2012_img_val.tar", "ILSVRC2012_devkit_t12.tar.gz"):
        whole = (tmp_path / tar).read_bytes()
        (tmp_path / tar).write_bytes(whole[: len(whole) // 2])
        assert f"{tar}: " in missing(tmp_path)
        assert "Fetch it again." in missing(tmp_path)
        (tmp_path / tar).write_bytes(whole)
    listed(tmp_path)


def test_a_ground_truth_of_other_images(pictures: Path, tmp_path: Path) -> None:
    kaggle(pictures, tmp_path)
    rng = np.random.default_rng(0)
    save_image(tmp_path / "ILSVRC/Data/CLS-LOC/val/ILSVRC2012_val_00009999.JPEG", rng)
    assert "LOC_val_solution.csv does not tell the class of" in missing(tmp_path)


def test_other_classes(pictures: Path, tmp_path: Path) -> None:
    class_folders(pictures, tmp_path)
    save_image(tmp_path / "train/cat/cat.JPEG", np.random.default_rng(0))
    assert "'cat' is none of ImageNet's 1,000 classes. For other classes: data=folder" in missing(tmp_path)


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
    real = listing.list_imagenet
    monkeypatch.setattr(listing, "list_imagenet", lambda walk: looked.append(1) or real(walk))
    settings = config(root, tmp_path / "cache")
    first, again = listing.list_images(settings, root), listing.list_images(settings, root)
    assert len(looked) == 1
    np.testing.assert_array_equal(first.train.square(7, 16), again.train.square(7, 16))
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
