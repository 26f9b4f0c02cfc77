"""Folders of splits under their usual names, and what is mistaken for neither a split nor a class."""

import os
import unicodedata
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from alexnet.data.folders import list_folders, list_whole
from alexnet.data.image_list import ImageList
from alexnet.data.splits import split_kind, split_preference
from alexnet.data.walk import Walk
from alexnet.errors import UserError
from conftest import save_image

RNG = np.random.default_rng(0)


def make(root: Path, *folders: str, images: int = 2) -> Path:
    """Folders with so many images in each."""
    for folder in folders:
        for index in range(images):
            save_image(root / folder / f"{folder.rpartition('/')[2]}{index}.png", RNG, (4, 4))
    return root


def paths(images: ImageList) -> list[str]:
    return [images.path(row) for row in range(len(images))]


def folders_of(images: ImageList) -> dict[str, set[str]]:
    """The folders of each class's images."""
    found: dict[str, set[str]] = {name: set() for name in images.classes}
    for path, label in zip(paths(images), images.labels.tolist(), strict=True):
        found[images.classes[label]].add(path.rpartition("/")[0])
    return found


SPLITS = [
    ("train", "val"),
    ("Training", "Testing"),
    ("train", "Val"),
    ("TRAIN", "VALIDATION"),
    ("training_set", "test_set"),
    ("Train", "valid"),
    ("train_images", "test_images"),
    ("trainset", "valset"),
    ("train2017", "val2017"),
    ("train-data", "eval"),
    ("training", "dev"),
    ("train/train", "test/test"),
    ("training_set/training_set", "test_set/test_set"),
    ("data/train", "data/val"),
    ("a/b/train", "a/b/val"),
    ("x/x/train", "x/x/val"),
    ("seg_train/seg_train", "seg_test/seg_test"),  # Intel's scenes, as they are unpacked
    ("flowers_train", "flowers_valid"),
    ("X_train", "X_test"),
    ("XTrain", "XTest"),
    ("cifar10-train", "cifar10-test"),
    ("train_new", "val_new"),
    ("train", "validate"),
    ("train", "tests"),
    ("train", "holdout"),
    ("train", "development"),
    ("train/images", "val/images"),
    ("train/train/images", "val/val/images"),
]


@pytest.mark.parametrize(("train_name", "val_name"), SPLITS)
def test_usual_names(tmp_path: Path, train_name: str, val_name: str) -> None:
    make(tmp_path, *(f"{train_name}/{name}" for name in ("cat", "dog")), images=3)
    make(tmp_path, *(f"{val_name}/{name}" for name in ("cat", "dog")), images=2)
    walk = Walk(tmp_path)
    train, val = list_folders(walk, 0.1)
    assert folders_of(train) == {name: {f"{train_name}/{name}"} for name in ("cat", "dog")}
    assert folders_of(val) == {name: {f"{val_name}/{name}"} for name in ("cat", "dog")}
    assert (len(train), len(val)) == (6, 4)
    assert walk.val_source == f"{val_name}/"


def test_what_is_held_out_is_told(tmp_path: Path) -> None:
    make(tmp_path / "a", "train/cat", "train/dog")
    make(tmp_path / "b", "cat", "dog")
    for root, source in (("a", "12.5% held out of train/"), ("b", "12.5% held out of each class")):
        walk = Walk(tmp_path / root)
        train, val = list_folders(walk, 0.125)
        assert (len(train), len(val)) == (2, 2)
        assert walk.val_source == source


def test_the_choice_between_val_and_test_is_told(tmp_path: Path) -> None:
    make(tmp_path, *(f"{split}/{name}" for split in ("train", "test", "val", "masks") for name in "ab"))
    walk = Walk(tmp_path)
    _, val = list_folders(walk, 0.1)
    assert folders_of(val) == {"a": {"val/a"}, "b": {"val/b"}}
    assert walk.notes == [f"{tmp_path}: masks/, test/ not used."]


def test_test_images_without_labels_are_not_used(tmp_path: Path) -> None:
    make(tmp_path, "train/a", "train/b", "test1")
    walk = Walk(tmp_path)
    train, val = list_folders(walk, 0.5)
    assert folders_of(train) == {"a": {"train/a"}, "b": {"train/b"}}
    assert (len(train), len(val)) == (2, 2)
    assert walk.notes == [f"{tmp_path}: test1/ not used."]


def test_test_images_in_a_folder_of_no_class_are_not_used(tmp_path: Path) -> None:
    """As `ImageFolder` needs one: test/unknown."""
    make(tmp_path, "train/a", "train/b", "test/unknown")
    walk = Walk(tmp_path)
    train, val = list_folders(walk, 0.5)
    assert (len(train), len(val)) == (2, 2)
    assert walk.notes == [f"{tmp_path}: test/ not used."]
    assert walk.val_source == "50% held out of train/"


def test_splits_that_no_name_tells_are_told(tmp_path: Path) -> None:
    """Two folders with the same classes in each; not those with classes of their own."""
    make(tmp_path / "a", "tr/cat", "tr/dog", "tr/eel", "te/cat", "te/dog")
    make(tmp_path / "b", "apple/green", "apple/red", "plum/blue", "plum/red")
    make(tmp_path / "c", "apple/images", "plum/images")
    notes = []
    for name in "abc":
        walk = Walk(tmp_path / name)
        list_folders(walk, 0.5)
        notes.append(walk.notes)
    told = "its classes te, tr contain the same folders: cat, dog, eel. If they are splits, call them"
    assert notes == [[f"{tmp_path}/a: {told} train and val."], [], []]


def test_two_names_of_one_folder_are_told(tmp_path: Path) -> None:
    make(tmp_path, "train/cat", "train/dog")
    (tmp_path / "train/feline").symlink_to("cat")
    (tmp_path / "val").symlink_to("train")
    walk = Walk(tmp_path)
    list_folders(walk, 0.5)
    assert walk.notes == [
        f"{tmp_path}: val/ and train/ are one folder: the training images are validated.",
        f"{tmp_path}/train: the classes cat and feline are one folder.",
    ]


def test_images_beside_the_class_folders_are_told(tmp_path: Path) -> None:
    make(tmp_path, "cat", "dog")
    save_image(tmp_path / "preview.png", RNG)
    walk = Walk(tmp_path)
    images = list_whole(walk)[1]
    assert (len(images), images.ignored) == (4, {"preview.png": "an image in no class folder"})
    assert walk.notes == [f"{tmp_path}: ignored, not in a class folder: 1 .png."]


@pytest.mark.parametrize("names", [("valid", "invalid"), ("car", "train"), ("steam train", "test tube")])
def test_names_of_classes(tmp_path: Path, names: tuple[str, str]) -> None:
    train, _ = list_folders(Walk(make(tmp_path, *names)), 0.5)
    assert train.classes == tuple(sorted(names))


@pytest.mark.parametrize(
    ("folders", "message"),
    [
        (
            ("cat", "dog", "test"),
            r"test/ is named as a split, but cat/, dog/ beside it are classes\. Move",
        ),
        (("cat", "dog", "Val/cat", "Val/dog"), r"Val/ is named as a split, but cat/, dog/"),
        (("Testing/cat", "Testing/dog"), r"Testing/ is not named as training data, and there is no folder"),
        (("val/cat", "test/cat"), r"val/ is not named as training data"),
        (("train/a", "Training/b", "val/a"), r"Training/, train/ are both named as training images"),
        (("train", "test"), r"train: no class folders"),
        (("one/train/a", "one/val/a", "two/train/b", "two/val/b"), r"Did you mean data\.root=.*/one\?"),
        (
            ("flowers/rose", "flowers/tulip"),
            r"contains folders: rose/, tulip/\. Did you mean data\.root=.*flowers\?",
        ),
        (("a/b/rose", "a/b/tulip"), r"its only folder a/b contains folders: .*data\.root=.*/a/b\?"),
    ],
)
def test_what_is_not_clear_is_refused(tmp_path: Path, folders: tuple[str, ...], message: str) -> None:
    with pytest.raises(UserError, match=message):
        list_folders(Walk(make(tmp_path, *folders)), 0.5)


def test_a_new_folder_of_validation_images_is_noticed(tmp_path: Path) -> None:
    """The list of a training folder alone depends on the root; that of two splits does not."""
    make(tmp_path, "train/a", "train/b")
    alone, both = Walk(tmp_path), Walk(make(tmp_path, "val/a"))
    list_folders(alone, 0.5)
    assert "." in alone.mtimes or "val" in alone.mtimes
    list_folders(both, 0.5)
    assert "." not in both.mtimes


HIDDEN = (".ipynb_checkpoints", "__MACOSX", "@eaDir", "$RECYCLE.BIN", "lost+found", "RECYCLER", "~snapshot")


@pytest.mark.parametrize("hidden", HIDDEN)
def test_hidden_and_system_folders(tmp_path: Path, hidden: str) -> None:
    """Among the splits, among the classes, in a class and below: no class, no images, set aside."""
    make(tmp_path, "train/cat/more", "train/dog", "val/cat", "val/dog")
    for place in ("", "train/", "train/cat/", "train/cat/more/", "val/"):
        make(tmp_path, f"{place}{hidden}", f"{place}{hidden}/cat")
    train, val = list_folders(Walk(tmp_path), 0.1)
    assert train.classes == ("cat", "dog")
    assert folders_of(train) == {"cat": {"train/cat/more"}, "dog": {"train/dog"}}
    assert folders_of(val) == {"cat": {"val/cat"}, "dog": {"val/dog"}}
    reason = "hidden or system folder"
    places = ("train/", "train/cat/", "train/cat/more/")
    assert train.ignored == {f"{place}{hidden}": reason for place in places}
    assert val.ignored == {f"val/{hidden}": reason}


@pytest.mark.parametrize("place", ["train/bird", "val", "train/cat/part2"])
def test_a_link_to_nothing_is_missing_data(tmp_path: Path, place: str) -> None:
    make(tmp_path, "train/cat", "train/dog")
    (tmp_path / place).symlink_to("/nowhere/birds")
    with pytest.raises(
        UserError, match=f"{tmp_path / place}: a link to /nowhere/birds, which does not exist"
    ):
        list_folders(Walk(tmp_path), 0.1)


def test_a_link_to_itself(tmp_path: Path) -> None:
    make(tmp_path, "train/cat", "train/dog")
    (tmp_path / "train/self").symlink_to("self")
    with pytest.raises(UserError, match="train/self: a link to self"):
        list_folders(Walk(tmp_path), 0.1)


def test_good_links_are_followed(tmp_path: Path) -> None:
    """A class, a part of a class, and a file; nothing of it is set aside."""
    make(tmp_path / "elsewhere", "birds", "more/deep")
    root = make(tmp_path / "root", "cat", "dog")
    (root / "bird").symlink_to(tmp_path / "elsewhere/birds")
    (root / "cat/more").symlink_to(tmp_path / "elsewhere/more")
    (root / "dog/linked.png").symlink_to(tmp_path / "elsewhere/birds/birds0.png")
    images = list_whole(Walk(root))[1]
    assert images.classes == ("bird", "cat", "dog")
    assert Counter(images.labels.tolist()) == {0: 2, 1: 4, 2: 3}
    assert {"bird/birds0.png", "cat/more/deep/deep1.png", "dog/linked.png"} < set(paths(images))
    assert images.ignored == {}
    assert images.decode(paths(images).index("cat/more/deep/deep1.png"), 4).shape == (3, 4, 4)


def test_loops_of_links_end(tmp_path: Path) -> None:
    make(tmp_path, "cat/deep", "dog")
    (tmp_path / "cat/deep/up").symlink_to(tmp_path / "cat")
    (tmp_path / "all").symlink_to(tmp_path)
    images = list_whole(Walk(tmp_path))[1]
    assert folders_of(images) == {"cat": {"cat/deep"}, "dog": {"dog"}}
    assert images.ignored == dict.fromkeys(("all", "cat/deep/up"), "a link to a folder that contains it")


def test_pipes_are_not_opened(tmp_path: Path) -> None:
    make(tmp_path, "cat", "dog")
    os.mkfifo(tmp_path / "cat/pipe.png")
    (tmp_path / "dog/zero.jpg").symlink_to("/dev/zero")
    images = list_whole(Walk(tmp_path))[1]
    assert len(images) == 4
    assert images.ignored == dict.fromkeys(("cat/pipe.png", "dog/zero.jpg"), "not a regular file")


def test_names_in_two_unicode_forms_and_cases(tmp_path: Path) -> None:
    """As when one split was copied from a Mac."""
    composed, separate = (unicodedata.normalize(form, "café") for form in ("NFC", "NFD"))
    make(tmp_path, f"train/{composed}", "train/Dog", f"val/{separate}", "val/dog")
    walk = Walk(tmp_path)
    train, val = list_folders(walk, 0.1)
    assert train.classes == val.classes == ("Dog", composed)
    assert folders_of(val) == {"Dog": {"val/dog"}, composed: {f"val/{separate}"}}
    assert len(walk.notes) == 2
    assert all("differs only in case or Unicode form" in note for note in walk.notes)


def test_classes_that_differ_by_case_stay_two(tmp_path: Path) -> None:
    """Handwritten letters, for example."""
    make(tmp_path, "train/A", "train/a", "val/A", "val/a")
    walk = Walk(tmp_path)
    train, val = list_folders(walk, 0.1)
    assert train.classes == ("A", "a")
    assert folders_of(val) == {"A": {"val/A"}, "a": {"val/a"}}
    assert walk.notes == []
    make(tmp_path, "val/B", "train/B", "train/b", "val/á")
    with pytest.raises(UserError, match="val/á: there is no such class"):
        list_folders(Walk(tmp_path), 0.1)


def test_one_class_in_two_unicode_forms(tmp_path: Path) -> None:
    forms = [unicodedata.normalize(form, "café") for form in ("NFC", "NFD")]
    make(tmp_path, *forms, "dog")
    walk = Walk(tmp_path)
    images = list_whole(walk)[1]
    assert len(images.classes) == 2
    assert Counter(images.labels.tolist()) == {0: 4, 1: 2}
    assert "the two Unicode forms of" in walk.notes[0]
    assert "are one class" in walk.notes[0]


def test_class_names_that_are_not_utf8(tmp_path: Path) -> None:
    """Latin-1, from an old archive: the class has a name that can be printed and drawn."""
    odd = b"caf\xe9".decode(errors="surrogateescape")
    make(tmp_path, f"train/{odd}", "train/dog", f"val/{odd}")
    train, val = list_folders(Walk(tmp_path), 0.1)
    assert train.classes == ("caf\\xe9", "dog")
    assert Counter(val.labels.tolist()) == {0: 2}
    assert val.decode(0, 4).shape == (3, 4, 4)


def test_a_root_and_other_files_that_are_not_utf8(tmp_path: Path) -> None:
    root = make(tmp_path / b"r\xf6\xffot".decode(errors="surrogateescape"), "cat", "dog")
    (root / b"cat/n\xf6te.txt".decode(errors="surrogateescape")).write_text("x")
    images = list_whole(Walk(root))[1]
    assert images.ignored == {"cat/n\\xf6te.txt": "not an image by its name"}
    assert len(images.key()) == 24


def test_empty_classes_are_named_at_once(tmp_path: Path) -> None:
    make(tmp_path, "train/a", "train/b", "val/a")
    (tmp_path / "val/b").mkdir()
    walk = Walk(tmp_path)
    _, val = list_folders(walk, 0.1)
    assert len(val) == 2
    assert walk.notes == [f"{tmp_path}/val/b: no images in this class folder."]
    for name in ("c", "d"):
        (tmp_path / "train" / name).mkdir()
        (tmp_path / "train" / name / "x.heic").write_text("x")
    with pytest.raises(UserError, match=r"train: no images in 2 class folders: c, d\. Add some"):
        list_folders(walk, 0.1)
    assert walk.notes[-1] == f"{tmp_path}/train: ignored, not images by name: 2 .heic."


def test_tiny_imagenet_as_it_is_downloaded(tmp_path: Path) -> None:
    """train/<wnid>/images, and val/images with a file of lines; its test images have no labels."""
    wnids = ("n01443537", "n01629819")
    make(tmp_path, *(f"train/{wnid}/images" for wnid in wnids), "val/images", "test/images", images=4)
    of_name = {f"images{index}.png": wnids[index in (0, 3)] for index in range(4)}
    lines = "".join(f"{name}\t{wnid}\t0\t32\t44\t62\n" for name, wnid in of_name.items())
    (tmp_path / "val/val_annotations.txt").write_text(lines)
    walk = Walk(tmp_path)
    train, val = list_folders(walk, 0.1)
    assert train.classes == val.classes == wnids
    assert (len(train), len(val)) == (8, 4)
    for path, label in zip(paths(val), val.labels.tolist(), strict=True):
        assert wnids[label] == of_name[path.removeprefix("val/images/")]
    assert (val.ignored, walk.val_source) == ({}, "val/")
    alone = list_whole(Walk(tmp_path / "val"))[1]
    assert (alone.classes, alone.labels.tolist()) == (wnids, val.labels.tolist())
    (tmp_path / "val/val_annotations.txt").write_text(lines[: lines.index("images3")])
    with pytest.raises(UserError, match=r"val_annotations\.txt: no class for val/images/images3\.png"):
        list_folders(Walk(tmp_path), 0.1)
    (tmp_path / "val/val_annotations.txt").write_text(lines.replace(wnids[0], "n9"))
    with pytest.raises(UserError, match=r"class 'n9', without training images"):
        list_folders(Walk(tmp_path), 0.1)


@pytest.mark.parametrize("ending", ["jfif", "jpe", "JFIF", "jp2", "avif", "pgm"])
def test_endings(tmp_path: Path, ending: str) -> None:
    make(tmp_path, "a", "b")
    kind = {"jp2": "JPEG2000", "avif": "AVIF", "pgm": "PPM"}.get(ending, "JPEG")
    Image.new("L", (8, 8), 200).save(tmp_path / f"a/x.{ending}", kind)
    images = list_whole(Walk(tmp_path))[1]
    pixels = images.decode(paths(images).index(f"a/x.{ending}"), 8)
    assert np.abs(pixels.astype(int) - 200).max() <= 2


def test_for_an_evaluation_all_is_taken(tmp_path: Path) -> None:
    flat = make(tmp_path / "flat", "a", "b", images=5)
    lone = make(tmp_path / "lone", "Test/a", "Test/b", images=3)
    both = make(tmp_path / "both", "train/a", "train/b", "val/a", "val/b", images=4)
    for root, count, source in (
        (flat, 10, f"all in {flat}"),
        (lone, 6, f"all in {lone}/Test"),
        (both, 8, "val/"),
    ):
        walk = Walk(root)
        train, val = list_whole(walk)
        assert (train.classes, val.classes) == (("a", "b"), ("a", "b"))
        assert (len(val), walk.val_source) == (count, source)
        assert not set(paths(train)) & set(paths(val))


def test_a_validation_split_by_any_name_comes_before_a_test_split() -> None:
    names = ["test", "holdout", "Val", "dev", "valid"]
    preferred = sorted(names, key=lambda name: split_preference(name, split_kind(name)))
    assert preferred == ["valid", "Val", "dev", "holdout", "test"]
