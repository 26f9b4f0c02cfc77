"""Scaling: sizes take turns, packs take no disk and do not stay, start-up is the way of train.py."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from alexnet.benchmark import scaling
from alexnet.benchmark.results import Point, Spread
from alexnet.benchmark.scaling import (
    measure_batch_sizes,
    measure_data_sizes,
    startup_seconds,
    write_empty_pack,
)
from alexnet.data.pack_reader import open_pack
from alexnet.errors import UserError
from conftest import benchmark_config

SMALL = ("trainer.accelerator=cpu", "data.batch_size=4", "rounds=2", "classes=5")


def test_batch_sizes_take_turns() -> None:
    config = benchmark_config(*SMALL, "scaling.batch_sizes=[2,8]")
    sizes: list[int] = []
    counted: list[int] = []

    def step(_: Callable[..., float], given: Any) -> float:
        sizes.append(given.data.batch_size)
        return float(len(sizes))

    points = measure_batch_sizes(config, step, counted.append)
    assert sizes == [2, 8, 2, 8]
    assert sum(counted) == 4
    assert points == [Point(2, Spread(2, 1, 3)), Point(8, Spread(3, 2, 4))]


def test_data_sizes_take_turns_and_leave_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Opened for real, in this process."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    config = benchmark_config(*SMALL, "scaling.data_sizes=[10,300]")
    sizes: list[int] = []

    def start(function: Callable[..., float], given: Any, pack: Path) -> float:
        sizes.append(len(open_pack(pack).train.labels))
        return function(given, pack)

    points = measure_data_sizes(config, start, lambda _: None)
    assert sizes == [10, 300, 10, 300]
    assert [point.size for point in points] == [10, 300]
    assert all(point.seconds.least > 0 for point in points)
    assert not list(tmp_path.iterdir())


def test_no_sizes_no_points() -> None:
    config = benchmark_config("scaling.batch_sizes=[]", "scaling.data_sizes=[]")
    for measure in (measure_batch_sizes, measure_data_sizes):
        assert measure(config, lambda *_: 1.0, lambda _: None) == []


def test_an_empty_pack(tmp_path: Path) -> None:
    """As large as a real one by its files' lengths, and next to nothing on the disk."""
    config = benchmark_config(*SMALL)
    write_empty_pack(tmp_path / "pack", 2000, config)
    images = (tmp_path / "pack" / "train_images.npy").stat()
    assert images.st_size > 2000 * 3 * 256 * 256
    assert images.st_blocks * 512 < 1e6
    pack = open_pack(tmp_path / "pack")
    assert (len(pack.train.rows), len(pack.val.rows), len(pack.classes)) == (2000, 80, 5)
    assert np.bincount(pack.train.labels).tolist() == [400] * 5
    assert pack.train.names[1999] == b"train/1999"


def test_start_up_ends_with_a_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The loop of training asks for it, and nothing is trained."""
    batches = []
    module = scaling._FirstBatch
    monkeypatch.setattr(module, "on_train_batch_start", lambda _, batch, __: batches.append(batch))
    config = benchmark_config(*SMALL)
    write_empty_pack(tmp_path / "pack", 9, config)
    assert startup_seconds(config, tmp_path / "pack") > 0
    ((images, labels, dropout_seeds),) = batches
    assert images.shape == (3, 3, 227, 227)  # 9 images in batches of up to 4
    assert len(labels) == len(dropout_seeds) == 3


def test_files_that_cannot_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(scaling, "write_empty_pack", full)
    with pytest.raises(
        UserError, match=r"data set of 7 images \(No space left on device\).*scaling.data_sizes=\[\]"
    ):
        measure_data_sizes(benchmark_config("scaling.data_sizes=[7]"), lambda *_: 1.0, lambda _: None)
