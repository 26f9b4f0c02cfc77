"""Parquet files, WebDataset's shards and npz batches: what folders of the same images give."""

import os
import shutil
import subprocess
import sys
import tarfile
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from alexnet.config import DataConfig, PackFormat, PrepareConfig
from alexnet.data import parquet_pages
from alexnet.data.archives import find_archives
from alexnet.data.fetching import ensure_fetched
from alexnet.data.image_list import ImageList
from alexnet.data.imagenet_classes import class_names
from alexnet.data.listing import Listing, list_images
from alexnet.data.loading import ImageData, load_image_data
from alexnet.data.pack_writer import make_pack
from alexnet.data.val_data import load_val_data
from alexnet.data.walk import Walk
from alexnet.errors import UserError
from conftest import compose_config, save_image
from imagenet_forms import (
    class_folders,
    draw_pictures,
    hugging_face,
    official,
    shards,
    shuffled,
    write_parquet,
    write_shard,
)

CLASSES = ("cat", "dog", "eel")


def config(root: Path, source: str = "folder", **changes: Any) -> DataConfig:
    composed = compose_config(f"data={source}", "data.root=here", "data.resize_size=24").data
    where = {"root": str(root), "cache": f"{root.parent}/cache-{root.name}"}
    return replace(composed, **(where | changes))


def listed(root: Path, source: str = "folder", *, whole: bool = False, **changes: Any) -> Listing:
    settings = config(root, source, **changes)
    return list_images(settings, ensure_fetched(settings, 1), whole=whole)


def loaded(root: Path, source: str = "folder") -> ImageData:
    return load_image_data(config(root, source))


def content(images: ImageList, size: int = 24) -> tuple[list[str], list[int], np.ndarray]:
    """Names without endings, labels, and pixels."""
    rows = range(len(images))
    names = [images.path(row).rpartition("/")[2].partition(".")[0] for row in rows]
    return names, images.labels.tolist(), np.stack([images.decode(row, size) for row in rows])


def pixels(data: ImageData) -> np.ndarray:
    out = np.empty((len(data.train), 3, 24, 24), np.uint8)
    data.train.read_rows(np.arange(len(data.train)), out, np.empty(len(data.train), np.int64))
    return out


def assert_same(first: ImageData, other: ImageData) -> None:
    assert other.classes == first.classes
    for name in ("train", "val"):
        np.testing.assert_array_equal(getattr(other, name).labels, getattr(first, name).labels)
    np.testing.assert_array_equal(pixels(other), pixels(first))
    for one, another in zip(first.statistics, other.statistics, strict=True):
        np.testing.assert_array_equal(one, another)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """train/ and val/ of three classes, PNG, whose names are in an order of their own."""
    root = tmp_path_factory.mktemp("data") / "pictures"
    rng = np.random.default_rng(0)
    for split, count in (("train", 5), ("val", 2)):
        for label in CLASSES:
            for number in range(count):
                save_image(root / split / label / f"{label}{number}.png", rng, (32, 32))
    return root


def as_parquet(pictures: Path, root: Path, **options: Any) -> Path:
    names = ["dog", "eel", "cat"]  # a number's class is named in the file
    for split in ("train", "val"):
        rows = [
            {
                "image": {"bytes": path.read_bytes(), "path": path.name},
                "label": names.index(path.parent.name),
            }
            for path in shuffled(pictures, split)
        ]
        write_parquet(root / f"{split}-00000-of-00001.parquet", rows, names, **options)
    return root


def as_shards(pictures: Path, root: Path) -> Path:
    for split in ("train", "val"):
        samples = [(path.stem, path.parent.name, path.read_bytes()) for path in shuffled(pictures, split)]
        write_shard(root / split / "0000.tar", samples[:4], "png")
        write_shard(root / split / "0001.tar", samples[4:], "png")
    return root


@pytest.mark.parametrize(
    ("form", "source"), [(as_parquet, "imagenette"), (as_parquet, "folder"), (as_shards, "folder")]
)
def test_any_labelled_set(pictures: Path, tmp_path: Path, form: Any, source: str) -> None:
    """Labels, order, pixels, statistics and fingerprint are those of the class folders."""
    first = loaded(class_folders(pictures, tmp_path / "folders"), source)
    other = loaded(form(pictures, tmp_path / "archives"), source)
    assert_same(first, other)
    assert first.fingerprint == other.fingerprint
    names = [[data.val.path(row).rpartition("/")[2] for row in range(6)] for data in (first, other)]
    assert names[0] == names[1]


@pytest.mark.parametrize("form", [hugging_face, shards])
def test_imagenet_from_every_form(tmp_path: Path, form: Any) -> None:
    """Bit for bit what the official tars give: labels, order, pixels, statistics, fingerprint."""
    imagenet = draw_pictures(tmp_path / "pictures")
    (tmp_path / "tars").mkdir()
    first = loaded(official(imagenet, tmp_path / "tars"), "imagenet")
    other = loaded(form(imagenet, tmp_path / "archives"), "imagenet")
    assert_same(first, other)
    assert first.fingerprint == other.fingerprint


@pytest.mark.parametrize("packed", ["raw", "jpeg"])
@pytest.mark.parametrize("form", [as_parquet, as_shards])
def test_packs_of_archives(pictures: Path, tmp_path: Path, form: Any, packed: str) -> None:
    """The rows, labels and statistics of a pack are those of its images in place."""
    root = form(pictures, tmp_path / "archives")
    settings = config(root)
    first = load_image_data(settings)
    pack = make_pack(PrepareConfig(settings, PackFormat(packed), 95))
    data = load_image_data(settings)
    assert data.origin == f"{packed} pack {pack.folder}"
    for one, another in zip(first.statistics, data.statistics, strict=True):
        np.testing.assert_array_equal(one, another)
    np.testing.assert_array_equal(data.train.labels, first.train.labels)
    assert [data.train.path(row) for row in range(15)] == [first.train.path(row) for row in range(15)]
    difference = pixels(data).astype(int) - pixels(first)
    assert abs(difference).mean() < (0.1 if packed == "raw" else 4)
    if packed == "raw":
        assert not difference.any()


def batches(tmp_path: Path, side: int = 8, labels: tuple[int, ...] = (449, 5, 382)) -> tuple[Path, Path]:
    """ImageNet's npz batches of tench, springer and chain saw, and the same pixels as PNG files."""
    wnids = {449: "n01440764", 5: "n02102040", 382: "n03000684"}
    rng = np.random.default_rng(3)
    npz, folders = tmp_path / "npz", tmp_path / "png"
    npz.mkdir()
    for split, sizes in (("train", (7, 5)), ("val", (6,))):
        number = 0
        for batch, size in enumerate(sizes, start=1):
            data = rng.integers(0, 256, (size, 3 * side * side), np.uint8)
            given = np.resize(labels, size)
            name = f"train_data_batch_{2 + 8 * (batch - 1)}" if split == "train" else "val_data"  # 2, 10
            np.savez(npz / f"{name}.npz", data=data, labels=given, mean=data.mean(0))
            for row in range(size):
                path = folders / split / wnids[given[row]] / f"{number:08d}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                planes = data[row].reshape(3, side, side)
                Image.fromarray(np.ascontiguousarray(planes.transpose(1, 2, 0))).save(path)
                number += 1
    return npz, folders


def test_npz_batches(tmp_path: Path) -> None:
    """The numbers are ILSVRC2012_IDs, not labels: 449 is the tench. Batch 2 is before batch 10."""
    npz, folders = batches(tmp_path)
    first, other = (loaded(root, "imagenet") for root in (folders, npz))
    assert other.classes == ("n01440764", "n02102040", "n03000684")
    assert_same(first, other)
    whole = listed(npz, "imagenet").train.decode(0, 8)  # without resizing: the very bytes
    with np.load(npz / "train_data_batch_2.npz") as batch:
        np.testing.assert_array_equal(whole.reshape(-1), batch["data"][0])


def test_ids_are_the_development_kits() -> None:
    """The first ten validation images: their ILSVRC2012_IDs, and their labels in Caffe's val.txt."""
    from alexnet.data.imagenet_classes import ids

    numbers = (490, 361, 171, 822, 297, 482, 13, 704, 599, 164)
    labels = (65, 970, 230, 809, 516, 57, 334, 415, 674, 332)
    wnids = list(class_names())
    assert [wnids.index(ids()[number - 1]) for number in numbers] == list(labels)
    assert sorted(ids()) == wnids


def test_other_npz_files(tmp_path: Path) -> None:
    npz, _ = batches(tmp_path)
    path = npz / "val_data.npz"
    with np.load(path) as batch:
        arrays = dict(batch)
    for changed, told in (
        ({"data": arrays["data"].astype(np.float32)}, r"data is float32 \(6, 192\), not bytes of"),
        ({"data": arrays["data"][:, :-1]}, r"data is uint8 \(6, 191\)"),
        ({"labels": arrays["labels"][1:]}, r"labels are int64 \(5,\) for 6 images"),
        ({"labels": arrays["labels"] + 1000}, "label 1449 is not one of ImageNet's, 1 to 1000"),
    ):
        np.savez(path, **(arrays | changed))
        with pytest.raises(UserError, match=told):
            listed(npz, "imagenet")
    np.savez_compressed(path, **arrays)
    with pytest.raises(UserError, match="its pixels are compressed") as told_how:
        listed(npz, "imagenet")
    command = str(told_how.value).partition("uncompressed: ")[2].replace("python", sys.executable, 1)
    subprocess.run(["bash", "-c", command], check=True)
    assert len(listed(npz, "imagenet").val) == 6
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(UserError, match=r"val_data.npz: not a complete batch .*Download it again"):
        listed(npz, "imagenet")


@pytest.mark.parametrize("compression", ["snappy", "none", "zstd", "gzip", "brotli"])
@pytest.mark.parametrize("dictionary", [True, False])
@pytest.mark.parametrize("version", ["1.0", "2.0"])
def test_values_in_pages_are_pyarrows(
    tmp_path: Path, compression: str, dictionary: bool, version: str
) -> None:
    """Of every codec, encoding and version of pages; nulls, equal values and several pages among them."""
    parquet = pytest.importorskip("pyarrow.parquet")
    rng = np.random.default_rng(0)
    kinds = (lambda row: rng.bytes(row * 13), lambda row: b"same" * (row % 3), lambda row: None)
    values = [kinds[row % 7 % 3](row) for row in range(200)]
    path = tmp_path / "a.parquet"
    options = {"use_dictionary": dictionary, "data_page_version": version, "row_group_size": 70}
    options |= {"data_page_size": 9000, "dictionary_pagesize_limit": 20_000, "compression": compression}
    write_parquet(
        path, [{"image": {"bytes": value, "path": ""}, "label": 0} for value in values], None, **options
    )
    metadata = parquet.read_metadata(path)
    codec = parquet_pages.CODECS[metadata.row_group(0).column(0).compression]
    assert metadata.schema.column(0).path == "image.bytes"
    places = list(parquet_pages.list_values(path, 0, metadata, -1))
    expected = [row["bytes"] for row in parquet.read_table(path).column("image").to_pylist()]
    assert expected == values
    with path.open("rb", buffering=0) as file:
        for place, value in zip(places, expected, strict=True):
            if place is None or value is None:
                assert place is value is None
            elif place.inner == -1:
                assert os.pread(file.fileno(), place.size, place.offset) == value
            else:
                assert parquet_pages.read_value(file, codec, place) == value
    stored = [place.inner == -1 for place in places if place is not None]
    if compression == "none" or version == "1.0":  # pages of version 2 may be left uncompressed
        assert set(stored) == {compression == "none"}


def test_parquet_needs_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "archives"
    root.mkdir()
    (root / "train.parquet").write_bytes(b"PAR1")
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(UserError, match=r"need pyarrow: install it .*extra `parquet`") as refused:
        listed(root)
    assert "\n" not in str(refused.value)


def test_columns_of_parquet_files(pictures: Path, tmp_path: Path) -> None:
    """Hugging Face's CIFAR-100 has img, fine_label and coarse_label."""
    pa, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    images = [{"bytes": path.read_bytes(), "path": None} for path in shuffled(pictures, "train")]
    labels = [path.parent.name for path in shuffled(pictures, "train")]
    path = tmp_path / "set/train.parquet"
    path.parent.mkdir()
    parquet.write_table(pa.table({"img": images, "fine": labels, "coarse": labels}), path)
    with pytest.raises(UserError, match="several columns could be the labels: img, fine, coarse"):
        listed(path.parent)
    parquet.write_table(pa.table({"img": images, "fine": labels, "label": labels}), path)
    listing = listed(path.parent)
    assert listing.train.classes == CLASSES
    assert listing.train.path(0) == "train.parquet/" + f"{labels.index('cat'):08d}"
    parquet.write_table(pa.table({"label": labels}), path)
    with pytest.raises(UserError, match="no column is known to be the images: label"):
        listed(path.parent)
    parquet.write_table(pa.table({"image": [{"bytes": None, "path": "/a"}], "label": ["x"]}), path)
    with pytest.raises(UserError, match=r"no column is known to be the images|row 0 holds no image"):
        listed(path.parent)


@pytest.mark.parametrize("name", ["width", "caption", "image_id"])
def test_other_numbers_and_texts_are_no_labels(pictures: Path, tmp_path: Path, name: str) -> None:
    pa, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    images = [path.read_bytes() for path in shuffled(pictures, "train")]
    values = [32 + row % 2 if name == "width" else f"{row % 2}" for row in range(len(images))]
    parquet.write_table(pa.table({"image": images, name: values}), tmp_path / "train.parquet")
    with pytest.raises(UserError, match=f"no column is known to be the labels: image, {name}. Name one"):
        listed(tmp_path)


def test_an_empty_parquet_file(pictures: Path, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    root = as_parquet(pictures, tmp_path / "set")
    path = root / "val-00000-of-00001.parquet"
    parquet.write_table(parquet.read_table(path).slice(0, 0), path)
    with pytest.raises(UserError, match=r"val-00000-of-00001.parquet: no images"):
        listed(root)


def test_hidden_members_of_shards(pictures: Path, tmp_path: Path) -> None:
    root = as_shards(pictures, tmp_path / "set")
    image = next(pictures.glob("train/cat/*")).read_bytes()
    with tarfile.open(root / "train/0001.tar", "a") as tar:
        for name, data in (("__MACOSX/x.png", image), ("__MACOSX/x.cls", b"ape"), (".git/y.png", image)):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, BytesIO(data))
    train = listed(root).train
    assert (train.classes, len(train)) == (CLASSES, 15)
    names = ("__MACOSX/x.png", "__MACOSX/x.cls", ".git/y.png")
    assert train.ignored == {f"train/0001.tar/{name}": "hidden or system folder" for name in names}


def test_labels_of_shards(pictures: Path, tmp_path: Path) -> None:
    """A number below zero is none; bytes that are not UTF-8 are shown; no JSON is told."""
    image = next(pictures.glob("train/cat/*")).read_bytes()
    path = tmp_path / "set/train-0.tar"
    write_shard(path, [("a", -1, image), ("b", 1, image)], "png")
    with pytest.raises(UserError, match=r"train-0.tar: a.png: it has no label"):
        listed(path.parent)
    for label, image_of_it in ((b"caf\xe9", image), (b"{", image)):
        ending = "cls" if label != b"{" else "json"
        with tarfile.open(path, "w") as tar:
            for name, data in (("a.png", image_of_it), (f"a.{ending}", label)):
                member = tarfile.TarInfo(name)
                member.size = len(data)
                tar.addfile(member, BytesIO(data))
        if ending == "cls":
            assert listed(path.parent, whole=True).val.classes == ("caf\\xe9",)
        else:
            with pytest.raises(UserError, match=r"train-0.tar: a.json is no JSON"):
                listed(path.parent)


def test_batches_in_the_folders_of_their_downloads(tmp_path: Path) -> None:
    """Imagenet64_train_part1_npz.zip, ..., each extracted into a folder of its own."""
    npz, _ = batches(tmp_path)
    together = [content(images, 8) for images in listed(npz, "imagenet")[:2]]
    for name, file in (("train_part1", "train_data_batch_2"), ("train_part2", "train_data_batch_10")):
        (npz / f"Imagenet64_{name}_npz").mkdir()
        (npz / f"{file}.npz").rename(npz / f"Imagenet64_{name}_npz/{file}.npz")
    (npz / "Imagenet64_val_npz").mkdir()
    (npz / "val_data.npz").rename(npz / "Imagenet64_val_npz/val_data.npz")
    apart = [content(images, 8) for images in listed(npz, "imagenet")[:2]]
    for one, other in zip(together, apart, strict=True):
        assert other[:2] == one[:2]
        np.testing.assert_array_equal(other[2], one[2])


@pytest.mark.parametrize("name", ["train.tar.gz", "train.zip", "train.tar"])
def test_archives_that_are_not_read_in_place_are_told(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"\x1f\x8b")
    with pytest.raises(UserError, match=f"Archives such as {name} are not read in place here: extract them"):
        listed(tmp_path)


def test_labels_that_cannot_be_right(pictures: Path, tmp_path: Path) -> None:
    """Of ImageNet's images the names tell the class; a number out of range has none."""
    image = next(pictures.glob("train/cat/*")).read_bytes()
    wrong = tmp_path / "wrong"
    write_shard(wrong / "train-0.tar", [("n01440764_1", 5, image)], "png")
    write_shard(wrong / "val-0.tar", [("ILSVRC2012_val_00000001", 0, image)], "png")
    with pytest.raises(UserError, match=r"n01440764_1.png: its label is that of n01496331"):
        listed(wrong, "imagenet")
    write_shard(wrong / "train-0.tar", [("a", 1000, image)], "png")
    with pytest.raises(UserError, match="label 1000 is not one of ImageNet's, 0 to 999"):
        listed(wrong, "imagenet")
    write_shard(wrong / "train-0.tar", [("a", "", image)], "png")
    with tarfile.open(wrong / "train-0.tar", "w") as tar:
        for name, data in (("a.png", image), ("b.png", image), ("b.cls", b"1")):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, BytesIO(data))
    with pytest.raises(UserError, match=r"train-0.tar: a.png: it has no label"):
        listed(wrong)
    rows = [{"image": {"bytes": image, "path": "a.png"}, "label": 2}]
    write_parquet(tmp_path / "names/train.parquet", rows, ["cat", "dog"])
    with pytest.raises(UserError, match=r"train.parquet: a.png: label 2 is not one of its 2 classes"):
        listed(tmp_path / "names")
    write_parquet(tmp_path / "names/train.parquet", rows, ["cat", "dog", "ape"])
    with pytest.raises(UserError, match=r"'ape' is not one of ImageNet's 1,000 classes. .*data=folder"):
        listed(tmp_path / "names", "imagenet")


def test_class_names_in_another_order_are_not_taken_by_their_numbers(pictures: Path, tmp_path: Path) -> None:
    names = list(class_names().values())
    image = {"bytes": next(pictures.glob("train/cat/*")).read_bytes(), "path": None}
    rows = [{"image": image, "label": label} for label in (0, 1, 2)]
    for split in ("train", "val"):
        write_parquet(tmp_path / f"set/{split}.parquet", rows, [*names[::-1][:3], *names[:-3]])
    assert listed(tmp_path / "set", "imagenet").train.classes == tuple(list(class_names())[-3:])
    unknown = ["x", *names[::-1][1:]]
    write_parquet(tmp_path / "set/train.parquet", rows, unknown)
    with pytest.raises(UserError, match="'x' is not one of ImageNet's"):
        listed(tmp_path / "set", "imagenet")


def test_splits_of_archives(pictures: Path, tmp_path: Path) -> None:
    as_shards(pictures, tmp_path / "a")
    held = tmp_path / "held"
    shutil.copytree(tmp_path / "a/train", held)
    listing = listed(held, val_fraction=0.4)
    assert (len(listing.train), len(listing.val)) == (9, 6)
    assert listing.val_source == "40% held out of 0000.tar and 1 more"
    tree = class_folders(pictures, tmp_path / "tree") / "train"  # class/name: the same are held out
    folders = listed(tree, val_fraction=0.4)
    assert content(folders.val)[0] == content(listing.val)[0]
    whole = listed(held, whole=True)
    assert (len(whole.train), len(whole.val), whole.val_source) == (0, 15, "all in 0000.tar and 1 more")
    alone = tmp_path / "alone"
    shutil.copytree(tmp_path / "a/val", alone / "val")
    with pytest.raises(UserError, match=r"val/0000.tar and 1 more are not named as training data"):
        listed(alone)
    assert load_val_data(config(alone), whole=True).images.labels.tolist() == [0, 0, 1, 1, 2, 2]
    shutil.copytree(tmp_path / "a/train", tmp_path / "a/training")
    with pytest.raises(UserError, match=r"training and train|train and training"):
        listed(tmp_path / "a")
    shutil.copytree(tmp_path / "alone", tmp_path / "two/x")
    shutil.copytree(tmp_path / "alone", tmp_path / "two/y")
    with pytest.raises(UserError, match=r"archives of several data sets: .*/two/x, .*/two/y"):
        listed(tmp_path / "two")


def test_what_is_not_used_or_missing_is_told(pictures: Path, tmp_path: Path) -> None:
    root = as_parquet(pictures, tmp_path / "set")
    (root / "train-00000-of-00001.parquet").rename(root / "train-00000-of-00003.parquet")
    shutil.copy(root / "val-00000-of-00001.parquet", root / "test-00000-of-00001.parquet")
    save_image(root / "preview.png", np.random.default_rng(0))
    notes = listed(root).notes
    assert f"{root}: only 1 of 3 files of train-00000-of-00003.parquet are present." in notes
    assert f"{root}: test-00000-of-00001.parquet not used." in notes


def test_what_is_missing_from_shards_is_told(pictures: Path, tmp_path: Path) -> None:
    root = as_shards(pictures, tmp_path / "set")
    image = next(pictures.glob("train/cat/*")).read_bytes()
    write_shard(root / "train/0004.tar", [("a", "cat", b"?"), ("b", "dog", b"?")], "heic")
    with tarfile.open(root / "train/0004.tar", "a") as tar:
        for name, data in (("c.png", image), ("c.cls", b"eel"), ("c.txt", b"a caption")):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, BytesIO(data))
    listing = listed(root)
    assert len(listing.train) == 16
    assert listing.train.ignored == {
        f"train/0004.tar/{name}.heic": "not an image by its name" for name in ("a", "b")
    }
    assert listing.notes == [f"{root}: numbers are missing among train/0000.tar and 2 more."]


def test_class_folders_beside_archives_are_class_folders(pictures: Path, tmp_path: Path) -> None:
    root = class_folders(pictures, tmp_path / "tree")
    write_shard(root / "train-0.tar", [("a", "cat", b"")])
    assert find_archives(root) is None
    assert len(listed(root).train) == 15


@pytest.mark.parametrize("order", [1, -1])
def test_other_files_beside_archives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, order: int) -> None:
    """In whatever order the folder lists them, its archives are found."""
    for name in ("train_data_batch_1", "val_data"):
        np.savez(tmp_path / f"{name}.npz", data=np.zeros((2, 3 * 32 * 32), np.uint8), labels=[1, 2])
    np.savez(tmp_path / "mean.npz", mean=np.zeros(3))
    in_order = Walk.files
    monkeypatch.setattr(Walk, "files", lambda walk, root: list(in_order(walk, root))[::order])
    archives = find_archives(tmp_path)
    assert archives is not None
    assert archives.form.ending == ".npz"


def test_other_tars_are_no_shards(tmp_path: Path) -> None:
    save_image(tmp_path / "a.png", np.random.default_rng(0))
    (tmp_path / "set").mkdir()
    with tarfile.open(tmp_path / "set/backup.tar", "w") as tar:
        tar.add(tmp_path / "a.png", "cat/a.png")
        tar.add(tmp_path / "a.png", "cat/b.png")
    assert find_archives(tmp_path / "set") is None
    assert find_archives(tmp_path / "no/such/folder") is None
    with pytest.raises(UserError, match="no class folders"):
        listed(tmp_path / "set")


def test_damaged_archives_are_named(pictures: Path, tmp_path: Path) -> None:
    root = as_shards(pictures, tmp_path / "shards")
    path = root / "train/0001.tar"
    path.write_bytes(path.read_bytes()[:-20_000])
    with pytest.raises(UserError, match=r"0001.tar: not a complete tar archive .*Download it again"):
        listed(root)
    root = as_parquet(pictures, tmp_path / "parquet")
    path = root / "train-00000-of-00001.parquet"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(UserError, match=r"parquet: not a complete Parquet file .*Download it again"):
        listed(root)


def test_a_damaged_page_is_an_unreadable_image(pictures: Path, tmp_path: Path) -> None:
    """As a damaged file is: named, and set aside; the other images are used."""
    root = as_parquet(pictures, tmp_path / "set", compression="zstd", use_dictionary=False, row_group_size=1)
    path = root / "train-00000-of-00001.parquet"
    for file in (root, *root.iterdir()):
        os.utime(file, (1_600_000_000, 1_600_000_000))
    images = listed(root).train
    with path.open("r+b", buffering=0) as file:
        page = parquet_pages._read_header(file, int(images.offsets[4]))
        os.pwrite(file.fileno(), b"\xff" * 8, page.body)
    os.utime(path, (1_600_000_000, 1_600_000_000))  # so that it is noticed when it is read
    settings = config(root, max_unreadable=0.2)
    loaded_data = load_image_data(settings)
    assert list(loaded_data.excluded) == [images.path(4)]
    assert "decompression failed" in loaded_data.excluded[images.path(4)]
    assert len(loaded_data.train) == 14


def test_a_changed_archive_is_listed_and_scanned_again(tmp_path: Path) -> None:
    """Also one in which all images have the same places and sizes as before."""
    npz, _ = batches(tmp_path)
    path = npz / "train_data_batch_2.npz"
    for file in (npz, *npz.iterdir()):
        os.utime(file, (1_600_000_000, 1_600_000_000))
    before = loaded(npz, "imagenet").statistics.mean
    with np.load(path) as batch:
        arrays = dict(batch)
    np.savez(path, **(arrays | {"data": 255 - arrays["data"]}))
    after = loaded(npz, "imagenet").statistics.mean
    expected = []
    for file in sorted(npz.glob("train*")):
        with np.load(file) as batch:
            expected.append(batch["data"])
    assert not np.array_equal(before, after)
    assert after.mean() == pytest.approx(np.concatenate(expected).mean(), abs=2)
