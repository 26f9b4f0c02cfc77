"""What is counted after each epoch: alone with a stand-in trainer, and in two real processes."""

import csv
import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from alexnet.callbacks.sample_count_check import SampleCountCheck
from alexnet.data.datamodule import ImageDataModule
from alexnet.data.loading import load_image_data
from alexnet.errors import UserError
from conftest import SMALL, Train, compose_config


def sample_count_check(root: Path, most: float = 0.001) -> SampleCountCheck:
    cache = f"data.cache={root.parent}/cache"
    config = compose_config("data=folder", f"data.root={root}", cache).data
    data = ImageDataModule(load_image_data(config), config, crop=227, seed=0, workers=0)
    config.max_unreadable = most
    return SampleCountCheck(data)


def trainer(samples: int, unreadable: int = 0, batches: int = 1) -> Any:
    counted = {"val/samples": torch.tensor(samples), "val/unreadable": torch.tensor(unreadable)}
    return SimpleNamespace(
        world_size=1, num_val_batches=[batches], val_dataloaders=[None], callback_metrics=counted
    )


def test_validation_counts_each_image_once(image_tree: Path) -> None:
    module: Any = None
    for validated in (trainer(6), trainer(4, 2), trainer(3, batches=0)):
        check = sample_count_check(image_tree)
        check.on_validation_end(validated, module)
        check.on_train_epoch_end(validated, module)
    for validated in (trainer(7), trainer(5)):
        check = sample_count_check(image_tree)
        check.on_train_epoch_end(validated, module)  # nothing was validated
        check.on_validation_end(validated, module)
        with pytest.raises(RuntimeError, match="instead of each of 6 once"):
            check.on_train_epoch_end(validated, module)


def test_too_many_unreadable(image_tree: Path) -> None:
    check = sample_count_check(image_tree, 0.1)
    module: Any = None
    data = check.datamodule.data
    data.train.unreadable["a"] = "gone"
    check.on_train_epoch_end(trainer(0), module)
    data.val.unreadable["b"] = "gone"
    with pytest.raises(UserError, match="2 of 18 images"):
        check.on_train_epoch_end(trainer(0), module)


@pytest.mark.slow
@pytest.mark.parametrize(("most", "ends"), [(0.5, "completed"), (0.06, "failed")])
def test_two_processes_share_what_they_could_not_read(
    train: Train, image_tree: Path, tmp_path: Path, most: float, ends: str
) -> None:
    """Files that vanish after the scan: whichever rank meets them, all are named, or both ranks stop."""
    arguments = [
        *SMALL,
        *("data=folder", f"data.root={image_tree}", "data.batch_size=4", "logger=csv"),
        *("callbacks.checkpoint.last=false", "callbacks.checkpoint.best=false"),
    ]
    first = train(*arguments, "debug=fast", "run_folder=first", f"data.max_unreadable={most}")
    assert first.status == 0, first.err
    gone = ["train/cat/cat0.jpg", "train/cat/cat1.jpg", "train/dog/dog1.jpg", "val/dog/dog2.jpg"]
    # the list and the scan are remembered under the times of the files, so these stay as they were
    for name in gone:
        path = image_tree / name
        status = path.stat()
        path.write_bytes(b"\0" * status.st_size)
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    done = train(*arguments, "trainer.devices=2", "run_folder=run", f"data.max_unreadable={most}")
    result = json.loads((tmp_path / "run/result.json").read_text())
    assert result["status"] == ends, done.err
    with (tmp_path / "run/excluded_files.csv").open() as file:
        named = {row["file"] for row in csv.DictReader(file)}
    if ends == "completed":
        assert done.status == 0, done.err
        assert named == set(gone)
        assert (result["train"]["samples"], result["val"]["samples"]) == (9, 5)
    else:
        assert done.status == 1
        assert named == set(gone)
        assert "cannot be read, more than data.max_unreadable=0.06" in done.err
        assert "Traceback" not in done.err
