"""Batches read ahead by threads."""

import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from alexnet.data.dataset import ImageDataset
from alexnet.data.image import UNREADABLE, ImageError
from alexnet.data.loader import AHEAD, BatchLoader
from alexnet.data.prefetch import SWITCH_SECONDS, prefetch_map
from alexnet.data.sampling import GlobalBatchSampler
from conftest import PROJECT, wait_for


class Numbered(ImageDataset):
    """Image i is full of i; the ones in `bad` do not decode; notes which threads read how many."""

    def __init__(self, count: int, bad: tuple[int, ...] = ()) -> None:
        super().__init__(np.arange(count) % 7)
        self.bad = bad
        self.readers: list[str] = []

    def path(self, index: int) -> str:
        return f"{index}.jpg"

    def _read(self, index: int, out: NDArray[np.uint8]) -> None:
        self.readers.append(threading.current_thread().name)
        if index in self.bad:
            raise ImageError("broken")
        out[...] = index % 256


def loader(images: ImageDataset, workers: int, batch: int = 50, first: int = 0) -> BatchLoader:
    batches = GlobalBatchSampler(len(images), batch, seed=3)
    return BatchLoader(images, batches, size=4, workers=workers, position=lambda: (1, first))


@pytest.mark.parametrize("workers", [0, 1, 2, 8])
def test_batches_are_whole_and_in_order(workers: int) -> None:
    images = Numbered(230, bad=(5, 77))
    batches = list(loader(images, workers))
    expected = list(GlobalBatchSampler(230, 50, seed=3).of_epoch(1))
    assert [len(batch.indices) for batch in batches] == [46, 46, 46, 46, 46]
    for batch, indices in zip(batches, expected, strict=True):
        assert batch.indices.tolist() == indices.tolist()
        assert batch.images.dtype == torch.uint8
        for image, label, index in zip(batch.images, batch.labels.tolist(), indices.tolist(), strict=True):
            assert label == (UNREADABLE if index in images.bad else index % 7)
            assert (image == (0 if index in images.bad else index)).all()
    assert images.unreadable == {"5.jpg": "broken", "77.jpg": "broken"}


def test_begins_in_the_middle() -> None:
    rest = list(loader(Numbered(230), 2, first=3))
    whole = list(loader(Numbered(230), 0))
    assert [batch.indices.tolist() for batch in rest] == [batch.indices.tolist() for batch in whole[3:]]


def test_reads_ahead_but_not_everything() -> None:
    images = Numbered(2000)
    iterator = iter(loader(images, 2))
    next(iterator)
    wait_for(lambda: len(images.readers) >= 50 * AHEAD)
    time.sleep(0.3)
    assert len(images.readers) <= 50 * (AHEAD + 2)
    iterator.close()  # type: ignore[attr-defined]
    read = len(images.readers)
    time.sleep(0.2)
    assert len(images.readers) == read


def test_threads_work_side_by_side() -> None:
    barrier = threading.Barrier(4, timeout=20)  # passes only where four are at it together
    assert list(prefetch_map(lambda _: barrier.wait() >= 0, range(8), workers=4, ahead=8)) == [True] * 8


def test_small_batches_keep_all_threads_busy() -> None:
    """Each thread reads an image of a batch of its own, and waits until all others do, too."""
    barrier = threading.Barrier(8)

    class Slow(Numbered):
        def _read(self, index: int, out: NDArray[np.uint8]) -> None:
            barrier.wait(timeout=20)

    assert len(list(loader(Slow(64), workers=8, batch=1))) == 64


@pytest.mark.parametrize(("before", "after"), [(5e-3, SWITCH_SECONDS), (1e-5, 1e-5)])
def test_threads_take_turns_often(before: float, after: float) -> None:
    usual = sys.getswitchinterval()
    try:
        sys.setswitchinterval(before)
        assert list(prefetch_map(abs, [-1], workers=0, ahead=1)) == [1]
        assert sys.getswitchinterval() == pytest.approx(before)
        assert list(prefetch_map(abs, [-1], workers=1, ahead=1)) == [1]
        assert sys.getswitchinterval() == pytest.approx(after)
    finally:
        sys.setswitchinterval(usual)


def test_an_error_comes_out() -> None:
    def fails(item: int) -> int:
        if item == 3:
            raise ValueError("three")
        return item

    results = prefetch_map(fails, range(10), workers=2, ahead=4)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="three"):
        next(results)


@pytest.mark.skipif(sys.platform != "linux", reason="reads the process's memory from /proc")
@pytest.mark.slow
@pytest.mark.parametrize("packed", ["files", "raw", "jpeg"])
def test_memory_does_not_grow_over_epochs(image_tree: Path, packed: str) -> None:
    program = f"""
        import sys
        sys.path[:0] = [{str(PROJECT / "src")!r}, {str(PROJECT / "tests")!r}]
        from pathlib import Path
        from alexnet.config import PackFormat
        from alexnet.config import PrepareConfig
        from alexnet.data.augmentation import Augmentation, epoch_augmentation_params
        from alexnet.data.statistics import color_axes, mean_image
        from alexnet.data.loading import load_image_data
        from alexnet.data.loader import BatchLoader
        from alexnet.data.sampling import GlobalBatchSampler
        from alexnet.data.pack_writer import make_pack
        from conftest import compose_config
        config = compose_config("data=folder", "data.root={image_tree}", "data.cache={image_tree}/cache").data
        if {packed!r} != "files":
            make_pack(PrepareConfig(config, PackFormat({packed!r}), 90))
        data = load_image_data(config)
        axes = color_axes(data.statistics, config.augment.color_scale)
        augmentation = Augmentation(config.augment, 227, mean_image(data.statistics, config.mean), axes)
        for epoch in range(121):
            loader = BatchLoader(
                data.train, GlobalBatchSampler(12, 8), size=256, workers=2, position=lambda: (epoch, 0)
            )
            for images, labels, indices in loader:
                params = epoch_augmentation_params(0, epoch, 12, 1).of(indices)
                augmentation.random(images, params, epoch)
            if epoch in (20, 120):
                print(int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    early, late = map(float, done.stdout.split()[-2:])
    print(f"{early:.0f} MB after 21 epochs, {late:.0f} MB after 121")
    assert late - early < 30  # the 1,200 images of those epochs, were they kept, are 236 MB
