"""Batches as training sees them: the same from any workers and ranks, nothing lost on the way."""

import errno
import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from alexnet.config import ValCrops
from alexnet.data.datamodule import ImageDataModule
from alexnet.data.dataset import ImageDataset, Subset
from alexnet.data.image import UNREADABLE
from alexnet.data.in_memory import InMemoryDataset
from alexnet.data.loading import load_image_data
from alexnet.errors import UserError
from conftest import compose_config, save_image

CPU = torch.device("cpu")


def module(
    root: Path,
    *,
    workers: int = 0,
    rank: int = 0,
    ranks: int = 1,
    epoch: int = 0,
    done: int = 0,
    precision: str = "32-true",
    overrides: tuple[str, ...] = (),
) -> ImageDataModule:
    config = compose_config(
        "data=folder",
        f"data.root={root}",
        f"data.cache={root.parent}/cache",
        "data.batch_size=4",
        "data.max_unreadable=0.5",
        *overrides,
    ).data
    made = ImageDataModule(load_image_data(config), config, crop=227, seed=0, workers=workers)
    trainer: Any = SimpleNamespace(
        global_rank=rank,
        world_size=ranks,
        current_epoch=epoch,
        fit_loop=SimpleNamespace(
            epoch_loop=SimpleNamespace(batch_progress=SimpleNamespace(current=SimpleNamespace(ready=done)))
        ),
        training=True,
        lightning_module=torch.nn.Linear(1, 1),
        precision=precision,
        strategy=SimpleNamespace(root_device=CPU),
    )
    trainer.lightning_module.device_mesh = None
    made.trainer = trainer
    return made


def epoch_batches(
    data: ImageDataModule, training: bool = True, device: torch.device = CPU
) -> list[tuple[torch.Tensor, ...]]:
    """Return all batches of an epoch, as the network gets them."""
    assert data.trainer is not None
    data.trainer.training = training  # type: ignore[misc]
    batches = []
    for batch in data.train_dataloader() if training else data.val_dataloader():
        batch = data.on_before_batch_transfer(batch, 0)
        batch = data.transfer_batch_to_device(batch, device, 0)
        batches.append(data.on_after_batch_transfer(batch, 0))
    return batches


def test_batches(image_tree: Path) -> None:
    batches = epoch_batches(module(image_tree))
    assert [tuple(images.shape) for images, *_ in batches] == [(4, 3, 227, 227)] * 3
    assert all(images.dtype == torch.float32 for images, *_ in batches)
    assert sorted(torch.cat([labels for _, labels, *_ in batches]).tolist()) == [0] * 6 + [1] * 6
    assert abs(torch.cat([images for images, *_ in batches]).mean().item()) < 15  # mean-subtracted


@pytest.mark.parametrize("training", [True, False])
def test_mixed_precision_gets_the_dtype_of_autocast(image_tree: Path, training: bool) -> None:
    exact = epoch_batches(module(image_tree), training)
    for (half, *_), (full, *_) in zip(
        epoch_batches(module(image_tree, precision="bf16-mixed"), training), exact, strict=True
    ):
        assert torch.equal(half, full.bfloat16())


@pytest.mark.parametrize("workers", [1, 2, 8])
def test_workers_change_nothing(image_tree: Path, workers: int) -> None:
    for (alone, labels, dropout_seeds), (together, same, equal) in zip(
        epoch_batches(module(image_tree)), epoch_batches(module(image_tree, workers=workers)), strict=True
    ):
        assert torch.equal(alone, together)
        assert torch.equal(labels, same)
        assert torch.equal(dropout_seeds, equal)


@pytest.mark.parametrize(("hold_out", "training"), [("null", True), ("0.3", False)])
def test_images_in_memory_are_the_same(image_tree: Path, hold_out: str, training: bool) -> None:
    """And none is read again, an unreadable one included."""
    (image_tree / "train/cat/broken.jpg").write_bytes(b"no image")
    split = (f"data.hold_out={hold_out}",)
    expected = epoch_batches(module(image_tree, overrides=split), training)
    data = module(image_tree, workers=2, overrides=(*split, "data.in_memory=true"))
    for path in image_tree.rglob("*.jpg"):
        path.unlink()
    found = epoch_batches(data, training)
    for ours, theirs in zip(found, expected, strict=True):
        assert all(torch.equal(one, other) for one, other in zip(ours, theirs, strict=True))


def test_an_image_lost_since_the_scan_is_told_in_memory(image_tree: Path) -> None:
    module(image_tree)  # scans
    lost = image_tree / "train/cat/cat0.jpg"
    listed = lost.stat()
    lost.write_bytes(bytes(listed.st_size))
    os.utime(lost, ns=(listed.st_atime_ns, listed.st_mtime_ns))
    data = module(image_tree, overrides=("data.in_memory=true",))
    assert list(data.data.newly_unreadable()) == ["train/cat/cat0.jpg"]
    labels = torch.cat([labels for _, labels, *_ in epoch_batches(data)])
    assert sorted(labels.tolist()) == [UNREADABLE, *[0] * 5, *[1] * 6]
    out = np.empty((3, 256, 256), np.uint8)
    one_by_one = [data.data.train.read(index, out) for index in range(12)]
    assert sorted(one_by_one) == sorted(labels.tolist())


def test_an_image_lost_since_the_scan_may_be_held_out(image_tree: Path) -> None:
    """It keeps its class: an image without one would be told as the only image of its class."""
    module(image_tree)
    for lost in sorted(image_tree.glob("train/cat/*.jpg"))[:5]:
        listed = lost.stat()
        lost.write_bytes(bytes(listed.st_size))
        os.utime(lost, ns=(listed.st_atime_ns, listed.st_mtime_ns))
    data = module(image_tree, overrides=("data.in_memory=true", "data.hold_out=0.5"))
    labels = [label for training in (True, False) for _, label, *_ in epoch_batches(data, training)]
    assert sorted(torch.cat(labels).tolist()) == [UNREADABLE] * 5 + [0] + [1] * 6
    assert len(data.data.newly_unreadable()) == 5


IN_MEMORY = ("data.in_memory=true",)


def test_images_in_memory_are_decoded_once_for_all_runs(
    image_tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With any split: the runs of a pilot, which hold images out, and those of its study read one copy."""
    expected = epoch_batches(module(image_tree, overrides=IN_MEMORY))
    module(image_tree)  # the scan of both splits is there
    monkeypatch.setattr("alexnet.data.image_list.ImageList.decode", None)
    again = module(image_tree, overrides=IN_MEMORY)
    for ours, theirs in zip(epoch_batches(again), expected, strict=True):
        assert all(torch.equal(one, other) for one, other in zip(ours, theirs, strict=True))
    held_out = module(image_tree, overrides=(*IN_MEMORY, "data.hold_out=0.3"))
    assert sum(len(labels) for _, labels, *_ in epoch_batches(held_out, training=False)) == 4
    assert mapped(again.data.train) == mapped(held_out.data.train)


def mapped(images: ImageDataset) -> str:
    """Return the file whose pages hold the pixels."""
    source = images.images if isinstance(images, Subset) else images
    assert isinstance(source, InMemoryDataset)
    assert isinstance(source.pixels, np.memmap)
    return str(source.pixels.filename)


@pytest.mark.parametrize("change", ["image", "size", "truncated"])
def test_images_that_have_changed_are_decoded_again(image_tree: Path, change: str) -> None:
    first = mapped(module(image_tree, overrides=IN_MEMORY).data.train)
    overrides = IN_MEMORY
    if change == "image":
        save_image(image_tree / "train/cat/cat0.jpg", np.random.default_rng(99))
    elif change == "size":
        overrides += ("data.resize_size=240",)
    else:
        Path(first).write_bytes(Path(first).read_bytes()[:-1])
    data = module(image_tree, overrides=overrides)
    assert (mapped(data.data.train) == first) == (change == "truncated")
    for ours, theirs in zip(
        epoch_batches(data), epoch_batches(module(image_tree, overrides=overrides[1:])), strict=True
    ):
        assert all(torch.equal(one, other) for one, other in zip(ours, theirs, strict=True))


def test_a_full_disk_leaves_the_images_in_memory(
    image_tree: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = epoch_batches(module(image_tree))

    def full(*arguments: object, **options: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(np, "save", full)
    data = module(image_tree, overrides=IN_MEMORY)
    for ours, theirs in zip(epoch_batches(data), expected, strict=True):
        assert all(torch.equal(one, other) for one, other in zip(ours, theirs, strict=True))
    assert "No space left on device. Only this process has them" in capsys.readouterr().out.replace("\n", " ")
    assert not list((image_tree.parent / "cache/decoded").glob("*.npy*"))


def test_images_that_do_not_fit_into_memory(image_tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("alexnet.data.in_memory.available_memory", lambda: 1e6)
    with pytest.raises(UserError, match=r"data.in_memory=true: 12 images of 256 pixels need 0.0 GB"):
        module(image_tree, overrides=("data.in_memory=true",))


@pytest.mark.parametrize("ranks", [2, 4])
def test_ranks_share_the_same_images(image_tree: Path, ranks: int) -> None:
    alone = epoch_batches(module(image_tree))
    shares = [epoch_batches(module(image_tree, rank=rank, ranks=ranks)) for rank in range(ranks)]
    for step, batch in enumerate(alone):
        for part, whole in enumerate(batch):  # images, labels, dropout_seeds
            assert torch.equal(torch.cat([share[step][part] for share in shares]), whole)


@pytest.mark.parametrize(
    ("training", "crops"), [(True, ValCrops.center), (False, ValCrops.center), (False, ValCrops.ten)]
)
def test_batches_of_another_size_have_the_same_images(
    image_tree: Path, training: bool, crops: ValCrops
) -> None:
    """Each sample by itself, three at a time, and in one batch of all."""

    def images(size: int) -> dict[int, torch.Tensor]:
        data = module(image_tree)
        data.config = replace(data.config, batch_size=size, val_crops=crops)
        loader = data.train_dataloader() if training else data.val_dataloader()
        samples = [int(sample) for batch in loader for sample in batch.indices]
        made = torch.cat([images for images, *_ in epoch_batches(data, training)])
        return dict(zip(samples, made, strict=True))

    alone = images(1)
    for size in (3, 12):
        together = images(size)
        assert together.keys() == alone.keys()
        assert all(torch.equal(image, alone[sample]) for sample, image in together.items())


@pytest.mark.parametrize("training", [True, False])
def test_only_copies_to_cuda_do_not_block(
    image_tree: Path, training: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that a batch copies to a device, on the one device that every machine has: meta."""
    meta, copies = torch.device("meta"), []

    def to(tensor: torch.Tensor, *args: Any, non_blocking: bool = False, **rest: Any) -> torch.Tensor:
        if meta in args:
            copies.append(non_blocking)
        return original(tensor, *args, non_blocking=non_blocking, **rest)

    original = torch.Tensor.to
    monkeypatch.setattr(torch.Tensor, "to", to)
    data = module(image_tree)
    batches = epoch_batches(data, training, meta)
    assert all(images.device == meta for images, *_ in batches)
    per_batch = 6 if training else 2  # images and labels; corners, flips, colours and dropout_seeds
    assert copies == [False] * (1 + per_batch * len(batches))  # the mean once


def test_epochs_differ_and_validation_does_not(image_tree: Path) -> None:
    first, second = module(image_tree, epoch=0), module(image_tree, epoch=1)
    assert not torch.equal(epoch_batches(first)[0][0], epoch_batches(second)[0][0])
    assert torch.equal(
        epoch_batches(first, training=False)[0][0], epoch_batches(second, training=False)[0][0]
    )


def test_excluded_files_are_named(image_tree: Path) -> None:
    (image_tree / "train/cat/cat0.jpg").write_bytes(b"")
    (image_tree / "val/dog/dog0.jpg").write_text("no image")
    (image_tree / "train/dog/readme.txt").write_text("x")
    data = module(image_tree).data
    assert set(data.excluded) == {"train/cat/cat0.jpg", "val/dog/dog0.jpg", "train/dog/readme.txt"}
    assert (len(data.train), len(data.val)) == (11, 5)


def test_a_file_that_breaks_after_the_scan(image_tree: Path) -> None:
    """Later epochs continue without it: it has no label, and is named with the reason."""
    data = module(image_tree)
    (image_tree / "train/cat/cat3.jpg").write_bytes(b"")
    (image_tree / "train/dog/dog2.jpg").unlink()
    labels = torch.cat([labels for _, labels, *_ in epoch_batches(data)])
    assert (labels == UNREADABLE).sum() == 2
    assert data.data.newly_unreadable() == {
        "train/cat/cat3.jpg": "empty file",
        "train/dog/dog2.jpg": "No such file or directory",
    }


def test_too_many_files_that_break(image_tree: Path) -> None:
    data = module(image_tree)
    data.config.max_unreadable = 0.12
    for name in ("cat0", "cat1", "cat2"):
        (image_tree / f"train/cat/{name}.jpg").write_bytes(b"")
    with pytest.raises(
        UserError, match=r"3 of 18 images \(17%\) cannot be read, .*empty file.*max_unreadable=0.2"
    ):
        epoch_batches(data)


def test_what_was_set_aside_before_counts_too(image_tree: Path) -> None:
    for name in ("cat0", "cat1"):
        (image_tree / f"train/cat/{name}.jpg").write_bytes(b"")
    data = module(image_tree)
    data.config.max_unreadable = 0.12
    epoch_batches(data)  # two of 18 are allowed
    (image_tree / "train/cat/cat2.jpg").unlink()
    with pytest.raises(UserError, match=r"3 of 18 images.*No such file"):
        epoch_batches(data)


def test_an_interrupted_epoch_is_resumed(image_tree: Path) -> None:
    whole, rest = (
        epoch_batches(module(image_tree, epoch=3)),
        epoch_batches(module(image_tree, epoch=3, done=2, workers=2)),
    )
    assert (len(whole), len(rest)) == (3, 1)
    assert torch.equal(whole[2][0], rest[0][0])
    assert torch.equal(whole[2][1], rest[0][1])


def test_an_epoch_of_other_batches_cannot_be_resumed(image_tree: Path) -> None:
    loader = module(image_tree).train_dataloader()
    loader.load_state_dict(loader.state_dict())
    with pytest.raises(
        UserError, match="12 images in batches of 8, and cannot continue with 12 in batches of 4"
    ):
        loader.load_state_dict({"samples": 12, "batch_size": 8})


def test_class_without_readable_images(image_tree: Path) -> None:
    for path in (image_tree / "train/cat").iterdir():
        path.write_bytes(b"")
    with pytest.raises(UserError, match="Class 'cat'"):
        module(image_tree)


def test_crop_larger_than_the_stored_image(image_tree: Path) -> None:
    config = compose_config("data=folder", f"data.root={image_tree}").data
    config.cache = str(image_tree.parent / "cache")
    with pytest.raises(UserError, match=r"model.image_size=300.*data.resize_size=256"):
        ImageDataModule(load_image_data(config), config, crop=300, seed=0, workers=0)


def test_what_prediction_needs_is_saved(image_tree: Path) -> None:
    state = module(image_tree).state_dict()
    assert state["classes"] == ["cat", "dog"]
    assert state["mean"].shape == (3, 227, 227)


def test_many_files_in_no_order(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for index in rng.permutation(30):
        save_image(tmp_path / "images" / f"class{index % 3}" / f"{index}.png", rng, (20, 20))
    data = module(tmp_path / "images").data
    assert (len(data.train), len(data.val)) == (27, 3)
    names = [data.train.path(row) for row in range(27)]
    assert names == sorted(names, key=lambda path: (path.split("/")[0], path.split("/")[1]))
