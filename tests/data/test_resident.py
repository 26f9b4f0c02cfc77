"""Images on the device that trains: the same samples, and a refusal where they do not fit."""

from pathlib import Path

import numpy as np
import pytest
import torch
from test_datamodule import CPU, epoch_batches, module

from alexnet.data import resident
from alexnet.data.image import UNREADABLE
from alexnet.data.loader import BatchLoader
from alexnet.data.resident import ResidentImages, check_fits
from alexnet.data.sampling import GlobalBatchSampler
from alexnet.errors import UserError
from alexnet.training import fit
from conftest import SMALL, request_of


@pytest.mark.parametrize(
    ("overrides", "training"),
    [
        ((), True),
        (("data.hold_out=0.3", "data.augment.mixup.alpha=1"), True),
        (("data.hold_out=0.3", "data.in_memory=true"), False),
    ],
)
def test_the_samples_are_the_same(image_tree: Path, overrides: tuple[str, ...], training: bool) -> None:
    """Bit for bit, and none is read a second time; a file that is none is left out as ever."""
    (image_tree / "train/cat/broken.jpg").write_bytes(b"no image")
    expected = epoch_batches(module(image_tree, overrides=overrides), training)
    data = module(image_tree, workers=2, overrides=(*overrides, "data.resident=true"))
    first = epoch_batches(data, training)
    for path in image_tree.rglob("*.jpg"):
        path.unlink()
    for batches in (first, epoch_batches(data, training)):
        for ours, theirs in zip(batches, expected, strict=True):
            for one, other in zip(ours, theirs, strict=True):
                for part, same in zip(
                    *(x if isinstance(x, tuple) else (x,) for x in (one, other)), strict=True
                ):
                    assert torch.equal(part, same)
    assert len(data._residents) == 1  # what is not asked for is not read


def test_an_interrupted_epoch_goes_on_where_it_stopped(image_tree: Path) -> None:
    images = module(image_tree).data.train
    held = ResidentImages(images, 256, CPU, "")
    sampler = GlobalBatchSampler(len(images), 4)
    loaders = [
        BatchLoader(images, sampler, size=256, workers=0, position=lambda: (3, 1), gather=gather)
        for gather in (held.batch, None)
    ]
    batches = [list(loader) for loader in loaders]
    assert len(batches[0]) == len(batches[1]) == 2
    for ours, theirs in zip(*batches, strict=True):
        assert torch.equal(ours.images, theirs.images)
        assert torch.equal(ours.labels, theirs.labels)
        np.testing.assert_array_equal(ours.indices, theirs.indices)


def test_an_image_lost_since_the_scan_is_told(image_tree: Path) -> None:
    data = module(image_tree)
    data.data.train._read(0, np.empty((3, 256, 256), np.uint8))  # is there
    Path(image_tree / data.data.train.path(0)).unlink()
    held = ResidentImages(data.data.train, 256, CPU, "")
    assert held.labels[0] == UNREADABLE
    assert (held.labels[1:] != UNREADABLE).all()
    assert list(data.data.newly_unreadable()) == [data.data.train.path(0)]


def test_they_must_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resident, "free_memory", lambda device: 3e6)
    check_fits(10, 256, CPU)  # 1.97 MB
    told = (
        r"^data\.resident=true: 1,000 images of 256 pixels need 0\.2 GB of the device's memory, and 0\.0 GB"
    )
    with pytest.raises(UserError, match=told):
        check_fits(1000, 256, CPU)
    monkeypatch.setattr(resident, "free_memory", lambda device: None)
    check_fits(10**9, 256, CPU)  # where nobody knows


def test_a_run_that_does_not_fit_is_refused_before_it_begins(
    tmp_path: Path, synthetic: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resident, "free_memory", lambda device: 1e6)
    with pytest.raises(UserError, match=r"data\.resident=true: 92 images of 256 pixels need 0\.0 GB"):
        fit.train(request_of(tmp_path / "run", *SMALL, *synthetic, "data.resident=true"))
    assert not (tmp_path / "run").exists()
