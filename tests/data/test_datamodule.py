"""Batches as training sees them: the same from any workers and ranks, nothing lost on the way."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from alexnet.data.datamodule import ImageDataModule
from alexnet.data.dataset import UNREADABLE, load_image_data
from alexnet.errors import UserError
from conftest import compose_config, save_image


def module(root: Path, *, workers: int = 0, rank: int = 0, ranks: int = 1, epoch: int = 0) -> ImageDataModule:
    config = compose_config(
        "data=folder", f"data.root={root}", f"data.cache={root.parent}/cache", "data.batch_size=4"
    ).data
    made = ImageDataModule(load_image_data(config), config, crop=227, seed=0, workers=workers)
    trainer: Any = SimpleNamespace(
        global_rank=rank,
        world_size=ranks,
        current_epoch=epoch,
        training=True,
        lightning_module=torch.nn.Linear(1, 1),
        strategy=SimpleNamespace(root_device=torch.device("cpu")),
    )
    made.trainer = trainer
    return made


def seen(data: ImageDataModule, training: bool = True) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """All batches of an epoch, as the network gets them."""
    assert data.trainer is not None
    data.trainer.training = training  # type: ignore[misc]
    batches = []
    for batch in data.train_dataloader() if training else data.val_dataloader():
        batch = data.on_before_batch_transfer(batch, 0)
        batch = data.transfer_batch_to_device(batch, torch.device("cpu"), 0)
        batches.append(data.on_after_batch_transfer(batch, 0))
    return batches


def test_batches(image_tree: Path) -> None:
    batches = seen(module(image_tree))
    assert [tuple(images.shape) for images, _ in batches] == [(4, 3, 227, 227)] * 3
    assert all(images.dtype == torch.float32 for images, _ in batches)
    assert sorted(torch.cat([labels for _, labels in batches]).tolist()) == [0] * 6 + [1] * 6
    assert abs(torch.cat([images for images, _ in batches]).mean().item()) < 15  # less the mean


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_change_nothing(image_tree: Path, workers: int) -> None:
    for (alone, labels), (together, same) in zip(
        seen(module(image_tree)), seen(module(image_tree, workers=workers)), strict=True
    ):
        assert torch.equal(alone, together)
        assert torch.equal(labels, same)


def test_ranks_share_the_same_images(image_tree: Path) -> None:
    alone = seen(module(image_tree))
    shares = [seen(module(image_tree, rank=rank, ranks=2)) for rank in range(2)]
    for step, (images, labels) in enumerate(alone):
        together = torch.cat([share[step][0] for share in shares])
        assert torch.equal(together, images)
        assert torch.equal(torch.cat([share[step][1] for share in shares]), labels)


def test_epochs_differ_and_validation_does_not(image_tree: Path) -> None:
    first, second = module(image_tree, epoch=0), module(image_tree, epoch=1)
    assert not torch.equal(seen(first)[0][0], seen(second)[0][0])
    assert torch.equal(seen(first, training=False)[0][0], seen(second, training=False)[0][0])


def test_excluded_files_are_named(image_tree: Path) -> None:
    (image_tree / "train/cat/cat0.jpg").write_bytes(b"")
    (image_tree / "val/dog/dog0.jpg").write_text("no image")
    (image_tree / "train/dog/readme.txt").write_text("x")
    data = module(image_tree).data
    assert set(data.excluded) == {"train/cat/cat0.jpg", "val/dog/dog0.jpg", "train/dog/readme.txt"}
    assert (len(data.train), len(data.val)) == (11, 5)


def test_a_file_that_breaks_after_the_survey(image_tree: Path) -> None:
    """Later epochs go on without it: it has no label, and is named with the reason."""
    data = module(image_tree)
    (image_tree / "train/cat/cat3.jpg").write_bytes(b"")
    (image_tree / "train/dog/dog2.jpg").unlink()
    labels = torch.cat([labels for _, labels in seen(data)])
    assert (labels == UNREADABLE).sum() == 2
    assert set(data.unreadable) == {"train/cat/cat3.jpg", "train/dog/dog2.jpg"}
    assert data.unreadable["train/dog/dog2.jpg"] == "No such file or directory"


def test_class_without_readable_images(image_tree: Path) -> None:
    for path in (image_tree / "train/cat").iterdir():
        path.write_bytes(b"")
    with pytest.raises(UserError, match="Class 'cat'"):
        module(image_tree)


def test_crop_larger_than_the_stored_image(image_tree: Path) -> None:
    config = compose_config("data=folder", f"data.root={image_tree}").data
    config.cache = str(image_tree.parent / "cache")
    with pytest.raises(UserError, match=r"model.image_size=300.*data.stored_size=256"):
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
    assert list(data.train.images.paths) == sorted(data.train.images.paths)
