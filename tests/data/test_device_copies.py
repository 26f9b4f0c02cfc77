"""Copies are waited for where they might read memory that has been freed, and run ahead elsewhere."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from alexnet.data import loader
from alexnet.data.dataset import ImageDataset
from alexnet.data.loader import BACKLOG, Batch, BatchLoader, move_to_device, prefetch_to_cuda
from alexnet.data.sampling import GlobalBatchSampler
from conftest import wait_for


class Recorder:
    """In the place of a tensor, on a machine without the device."""

    def __init__(self) -> None:
        self.calls: list[tuple[torch.device, bool]] = []

    def to(self, device: torch.device, non_blocking: bool = False) -> "Recorder":
        self.calls.append((device, non_blocking))
        return self


@pytest.mark.parametrize(
    ("device", "overlaps"), [("cuda", True), ("cuda:1", True), ("mps", False), ("xpu", False), ("cpu", False)]
)
def test_only_cuda_is_not_waited_for(device: str, overlaps: bool) -> None:
    tensor: Any = Recorder()
    assert move_to_device(tensor, torch.device(device)) is tensor
    assert tensor.calls == [(torch.device(device), overlaps)]


def test_the_rule_is_in_one_place() -> None:
    source = Path(loader.__file__)
    package = source.parents[1]
    assert [path for path in package.rglob("*.py") if "non_blocking" in path.read_text()] == [source]


class FakeCuda:
    """A GPU that does nothing until it is waited for: what is queued on it is counted."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.streams: list[FakeStream] = []
        self.compute = FakeStream()
        monkeypatch.setattr(torch.cuda, "Stream", self.new_stream)
        monkeypatch.setattr(torch.cuda, "Event", FakeEvent)
        monkeypatch.setattr(torch.cuda, "stream", self.on_stream)
        monkeypatch.setattr(torch.cuda, "current_stream", lambda device: self.compute)
        loader._copy_stream.cache_clear()

    def new_stream(self, device: torch.device) -> "FakeStream":
        self.streams.append(FakeStream())
        return self.streams[-1]

    @contextmanager
    def on_stream(self, stream: "FakeStream") -> Iterator[None]:
        yield


class FakeStream:
    def __init__(self) -> None:
        self.queued = self.done = 0  # steps

    def record_event(self) -> "FakeEvent":
        event = FakeEvent()
        event.record(self)
        return event

    def wait_event(self, event: "FakeEvent") -> None:
        assert event.stream is not self


class FakeEvent:
    def __init__(self, blocking: bool = False) -> None:
        self.stream: Any = None

    def record(self, stream: FakeStream) -> None:
        self.stream, self.at = stream, stream.queued

    def synchronize(self) -> None:
        self.stream.done = max(self.stream.done, self.at)


class Pinned(Recorder):
    """Images that are copied, and then used by another stream."""

    used_by: object = None

    def record_stream(self, stream: object) -> None:
        self.used_by = stream


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeCuda]:
    yield FakeCuda(monkeypatch)
    loader._copy_stream.cache_clear()


def batches(count: int) -> Iterator[Any]:
    return (Batch(Pinned(), torch.zeros(1), np.zeros(1, np.int64)) for _ in range(count))  # type: ignore[arg-type]


def test_all_loaders_copy_on_one_stream(cuda: FakeCuda) -> None:
    """Memory that one of them has freed is taken by the next."""
    for _ in range(5):
        for batch in prefetch_to_cuda(batches(3), torch.device("cuda")):
            assert batch.images.calls == [(torch.device("cuda"), True)]
            assert batch.images.used_by is cuda.compute
    assert len(cuda.streams) == 1


def test_a_gpu_lags_behind_by_few_batches(cuda: FakeCuda) -> None:
    """Each batch that it has not yet worked on takes memory."""
    lags, numbers = [], []
    for number, _ in enumerate(prefetch_to_cuda(batches(20), torch.device("cuda"))):
        numbers.append(number)
        cuda.compute.queued += 1  # a step
        lags.append(cuda.compute.queued - cuda.compute.done)
    assert numbers == list(range(20))
    assert max(lags) == BACKLOG + 1  # this batch, and those behind which it is queued
    assert lags[-1] == BACKLOG + 1


class Numbered(ImageDataset):
    """Images whose pixels are all their number."""

    def path(self, index: int) -> str:
        return str(index)

    def _read(self, index: int, out: np.ndarray) -> None:
        out[...] = index


CYCLES = 2_000_000_000  # about a second of a GPU


@pytest.mark.parametrize("name", [pytest.param("cuda", marks=pytest.mark.gpu), "cpu"])
def test_images_arrive_unchanged(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """From pinned memory, while the device is busy with the batches before."""
    device, pinned = torch.device(name), []

    def copied(tensor: torch.Tensor, target: torch.device) -> torch.Tensor:
        pinned.append(tensor.is_pinned())
        return move_to_device(tensor, target)

    monkeypatch.setattr(loader, "move_to_device", copied)
    images = Numbered(np.zeros(200, np.int64))
    sampler = GlobalBatchSampler(200, 16)
    made = BatchLoader(images, sampler, size=64, workers=2, position=lambda: (0, 0), device=device)
    means, indices = [], []
    for batch in made:
        if name == "cuda":
            torch.cuda._sleep(CYCLES // 200)
        means.append(batch.images.double().mean((1, 2, 3)))
        indices.append(batch.indices)
    assert torch.cat(means).tolist() == np.concatenate(indices).tolist()
    assert pinned == [True] * len(sampler) * (name == "cuda")


@pytest.mark.gpu
def test_copies_do_not_wait_for_the_gpu_s_work() -> None:
    device = torch.device("cuda")
    pixels = [torch.full((64, 3, 256, 256), n, dtype=torch.uint8).pin_memory() for n in range(4)]
    made = prefetch_to_cuda((Batch(p, torch.zeros(64), np.arange(64)) for p in pixels), device)
    first = next(made)
    torch.cuda._sleep(CYCLES)
    busy = torch.cuda.current_stream().record_event()
    second = next(made)
    wait_for(lambda: loader._copy_stream(device).query(), 0.5)
    assert not busy.query()
    for number, batch in enumerate((first, second, *made)):
        assert (batch.images == number).all()
