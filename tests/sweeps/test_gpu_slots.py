"""Each job has GPUs of its own; on the CPU the cores are shared out."""

import os
from pathlib import Path

import pytest

from alexnet.sweeps.queue import GpuSlots, visible_gpus


def test_one_job_a_gpu() -> None:
    slots = GpuSlots(["0", "1"], None)
    first, second = slots.acquire(1), slots.acquire(1)
    assert first and second
    assert (first.gpus, second.gpus) == (("0",), ("1",))
    assert slots.acquire(1) is None
    slots.release(first)
    third = slots.acquire(1)
    assert third and third.environment["CUDA_VISIBLE_DEVICES"] == "0"


def test_jobs_of_several_gpus() -> None:
    slots = GpuSlots(["4", "5", "6"], None)
    assert slots.limit(2) == 1
    first = slots.acquire(2)
    assert first and first.environment["CUDA_VISIBLE_DEVICES"] == "4,5"
    assert slots.acquire(2) is None
    assert slots.limit(8) == 1  # more than there are: the job itself says so


def test_a_number_of_jobs_shares_gpus_evenly() -> None:
    slots = GpuSlots(["0", "1"], 4)
    taken = [slots.acquire(1) for _ in range(5)]
    assert [slot.gpus[0] if slot else None for slot in taken] == ["0", "1", "0", "1", None]


def test_on_the_cpu_one_at_a_time_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    alone = GpuSlots([], None)
    slot = alone.acquire(1)
    assert slot and slot.environment == {}
    assert alone.acquire(1) is None
    monkeypatch.setattr(os, "cpu_count", lambda: 12)
    shared = GpuSlots([], 3).acquire(2)
    assert shared and shared.environment == {"OMP_NUM_THREADS": "2"}


def test_cuda_visible_devices_is_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2, GPU-5a")
    assert visible_gpus("auto") == ["2", "GPU-5a"]
    assert visible_gpus("cpu") == []
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert visible_gpus("gpu") == []


def test_gpus_are_counted_by_nvidia_smi(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 'GPU 0: A (UUID: a)'\necho '  MIG 1g'\necho 'GPU 1: A (UUID: b)'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert visible_gpus("auto") == ["0", "1"]
