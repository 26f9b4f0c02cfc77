"""`python src/prepare.py` as a user runs it, and training from what it makes."""

import json
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from alexnet.data.imagenet_classes import class_names
from conftest import PROJECT, SMALL, Train, real_images, save_image
from imagenet_forms import class_folders, draw_pictures, hugging_face, kaggle, official, shards

COMPARED = ("train", "val", "data_fingerprint", "classes", "excluded_files")


def test_from_a_pack_as_from_the_files(train: Train, synthetic: tuple[str, ...], tmp_path: Path) -> None:
    results = []
    for name in ("files", "pack"):
        if name == "pack":
            prepared = train(*synthetic, program="prepare.py")
            assert prepared.status == 0, prepared.err
            assert "61 for training, 31 for validation" in prepared.out
        done = train(*SMALL, *synthetic, "logger=csv", f"run_folder={tmp_path / name}")
        assert f"from {'raw pack' if name == 'pack' else 'files in'} " in done.out
        results.append(json.loads((tmp_path / name / "result.json").read_text()))
    files, pack = results
    for key in (*COMPARED, "config_hash"):
        assert files[key] == pack[key], key


def test_mistakes_in_one_line(train: Train, image_tree: Path) -> None:
    for arguments, expected in (
        (("data.rot=/x",), "Did you mean root?"),
        (("data=imagenet",), "data.root is not set. Set it: data.root=..."),
        (("data=imagenet", "data.root=/nowhere"), "there is no such folder"),
        (("data=imagenet", f"data.root={image_tree}"), "'cat' is not one of ImageNet's 1,000 classes"),
        (("format=png",), "Choices: jpeg, raw."),
        (("quality=0",), "quality=0: expected a JPEG quality from 1 to 100."),
    ):
        done = train(*arguments, program="prepare.py")
        assert (done.status, done.out) == (1, ""), arguments
        assert expected in done.err
        assert len(done.err.splitlines()) == 1


@pytest.mark.slow
@pytest.mark.parametrize("packed", [None, "jpeg"])
def test_imagenets_tars_are_as_good_as_its_folders(train: Train, tmp_path: Path, packed: str | None) -> None:
    """The official archives, never extracted: the same losses as from all other forms, and from packs."""
    pictures = draw_pictures(tmp_path / "pictures")
    results: list[dict[str, Any]] = []
    forms = [official, class_folders, shards] if packed else [official, kaggle, class_folders, shards]
    if find_spec("pyarrow"):  # without it tests/data/test_archives.py says what is left out
        forms.append(hugging_face)
    for form in forms:
        root = tmp_path / form.__name__
        root.mkdir()
        form(pictures, root)
        where = ("data=imagenet", f"data.root={root}", "data.batch_size=5")
        if packed:
            prepared = train(*where, f"format={packed}", program="prepare.py")
            assert prepared.status == 0, prepared.err
            assert "3 of 1,000 classes, 12 of 1,281,167 training images" in prepared.out
            manifest = json.loads(next(tmp_path.glob("cache/packs/*/manifest.json")).read_text())
            assert manifest["class_names"] == [class_names()[wnid] for wnid in manifest["classes"]]
        done = train(*SMALL, *where, "logger=csv", f"run_folder={root}-run")
        assert done.status == 0, done.err
        assert f"from {packed} pack " in done.out if packed else f"from files in {root}" in done.out
        results.append(json.loads((tmp_path / f"{root}-run/result.json").read_text()))
    for other in results[1:]:
        assert [other[key] for key in COMPARED] == [results[0][key] for key in COMPARED]


@pytest.mark.slow
def test_killed_and_resumed(train: Train, tmp_path: Path) -> None:
    """kill -9 in the middle of packing: nothing is taken for a pack, and the next time resumes."""
    rng = np.random.default_rng(0)
    root, pack = tmp_path / "photos", tmp_path / "pack"
    for index in range(24):
        save_image(root / "cat" / f"{index}.png", rng, (1600, 1600))
    for index in range(420):
        path = root / "dog" / f"{index}.png"
        path.parent.mkdir(exist_ok=True)
        path.symlink_to(root / "cat" / f"{index % 24}.png")
    arguments = ("data=folder", f"data.root={root}", f"data.pack={pack}", f"data.cache={tmp_path}/cache")
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, PROJECT / "src/prepare.py", *arguments],
        stdout=follower,
        stderr=follower,
        env=os.environ | {"TERM": "xterm", "COLUMNS": "100"},
    )
    os.close(follower)
    deadline = time.time() + 120
    while not list(tmp_path.glob("pack.partial/train_progress.npz")):
        assert process.poll() is None
        assert time.time() < deadline
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    shown = os.read(leader, 100_000).decode(errors="replace")
    assert "Packing train" in shown
    assert "/400" in shown  # a bar with counts
    assert not pack.exists()
    refused = train(*SMALL, *arguments)
    assert refused.status == 1
    assert "there is no pack" in refused.err
    again = train(*arguments, program="prepare.py")
    assert again.status == 0, again.err
    assert "Resuming" in again.out
    assert len(np.load(pack / "train_labels.npy")) + len(np.load(pack / "val_labels.npy")) == 444
    images = np.load(pack / "train_images.npy", mmap_mode="r")
    assert all(image.any() for image in images)


@pytest.mark.slow
def test_imagenette_in_the_official_archives(train: Train, tmp_path: Path) -> None:
    """13,394 real photographs, with the archives' and the development kit's names: prepare, then train."""
    with tarfile.open(real_images() / "imagenette2-224.tar.gz") as archive:
        archive.extractall(tmp_path, filter="data")
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    (tmp_path / "train").rename(pictures / "train")
    for number, path in enumerate(sorted((tmp_path / "val").glob("*/*")), start=1):
        new = pictures / "val" / path.parent.name / f"ILSVRC2012_val_{number:08d}.JPEG"
        new.parent.mkdir(parents=True, exist_ok=True)
        path.rename(new)
    root = tmp_path / "archives"
    root.mkdir()
    official(pictures, root)
    shutil.copytree(pictures, tmp_path / "folders")
    results = []
    for form in ("archives", "folders"):
        where = ("data=imagenet", f"data.root={tmp_path / form}")
        prepared = train(*where, program="prepare.py", timeout=600)
        assert prepared.status == 0, prepared.err
        assert "9,469 for training, 3,925 for validation" in prepared.out
        fast = (
            "trainer.max_epochs=1",
            "trainer.limit_train_batches=5",
            f"run_folder={form}-run",
            "logger=csv",
        )
        done = train(*SMALL, *where, *fast, timeout=600)
        assert done.status == 0, done.err
        results.append(json.loads((tmp_path / f"{form}-run/result.json").read_text()))
    assert [results[0][key] for key in COMPARED] == [results[1][key] for key in COMPARED]
    assert results[0]["val"]["samples"] == 3925


def test_help_lists_what_it_takes(train: Train) -> None:
    """With an example; every key in it is one, and has the value that it has."""
    done = train("--help", program="prepare.py")
    assert (done.status, done.err) == (0, "")
    assert "python src/prepare.py data=folder data.root=<folder>" in done.out
    keys = re.findall(r"^  ([\w.]+)=(\S+)", done.out, re.MULTILINE)
    assert len(keys) == 11
    with initialize_config_dir(str(PROJECT / "conf"), version_base="1.3"):
        composed = compose("prepare")
    for key, value in keys:
        assert OmegaConf.select(composed, key, throw_on_missing=False) is not None or key == "data.pack", key
        if value[0].isdigit():
            assert str(OmegaConf.select(composed, key)) == value
