"""Each job has GPUs of its own, or a core; memory has to suffice."""

import os
import sys
from pathlib import Path

import pytest

from alexnet.sweeps.slots import CoreSlots, GpuSlots, find_slots, visible_gpus


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


@pytest.fixture
def no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)


@pytest.mark.usefixtures("no_threads")
def test_on_the_cpu_as_many_jobs_as_cores() -> None:
    """Of one thread each, the last job as well: the number of threads decides how sums are rounded."""
    slots = CoreSlots(4, None, None)
    taken = [slots.acquire(1) for _ in range(5)]
    assert [slot and slot.environment for slot in taken] == [{"OMP_NUM_THREADS": "1"}] * 4 + [None]
    for slot in taken[:4]:
        assert slot
        slots.release(slot)
    alone = slots.acquire(1)
    assert alone and alone.environment == {"OMP_NUM_THREADS": "1"}
    assert slots.describe(1, 9) == "4 at a time, one thread each"
    assert slots.describe(1, 3) == "3 at a time, one thread each"
    assert [CoreSlots(cores, None, None).limit(2) for cores in (1, 2, 4, 5)] == [1, 1, 2, 2]


@pytest.mark.usefixtures("no_threads")
def test_a_number_of_jobs_shares_the_cores() -> None:
    slot = CoreSlots(12, 1e9, 3).acquire(2)
    assert slot and slot.environment == {"OMP_NUM_THREADS": "2"}
    alone = CoreSlots(12, None, 1)
    first = alone.acquire(1)
    assert first and first.environment == {}  # all threads
    assert alone.acquire(1) is None
    assert alone.describe(1, 5) == "1 at a time"
    shared = GpuSlots(["0"], 3, cores=12).acquire(1)
    assert shared and shared.environment == {"OMP_NUM_THREADS": "4", "CUDA_VISIBLE_DEVICES": "0"}


def test_threads_that_the_user_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each job has as many, and as many cores."""
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    slots = CoreSlots(12, None, None)
    slot = slots.acquire(1)
    assert slot and slot.environment == {}  # it inherits the variable
    assert (slots.limit(1), slots.limit(2)) == (3, 1)
    assert slots.describe(1, 9) == "3 at a time, 4 threads each"
    assert CoreSlots(2, None, None).limit(1) == 1


@pytest.mark.usefixtures("no_threads")
def test_memory_limits_the_jobs_that_run() -> None:
    """By a guess, until a job has shown what it takes."""
    slots = CoreSlots(8, 8e9, None)
    assert slots.limit(1) == 2
    assert slots.describe(1, 9) == "2 at a time, one thread each (limited by memory)"
    slots.expect_memory(1e9, 1)
    assert (slots.limit(1), slots.limit(2)) == (7, 3)
    slots.expect_memory(3e9, 1)
    slots.expect_memory(1e9, 1)  # the largest counts
    assert slots.limit(1) == 2
    slots.expect_memory(30e9, 1)
    slot = slots.acquire(1)
    assert slot and slot.environment == {"OMP_NUM_THREADS": "1"}  # one job runs, whatever it takes
    assert slots.acquire(1) is None


@pytest.mark.usefixtures("no_threads")
def test_which_slots_a_machine_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    monkeypatch.setattr("alexnet.sweeps.slots.usable_cores", lambda: 6.5)
    monkeypatch.setattr("alexnet.sweeps.slots.available_memory", lambda: 100e9)
    monkeypatch.setattr(sys, "platform", "linux")
    assert find_slots("auto", None, None).limit(1) == 2
    assert find_slots("cpu", None, None).limit(1) == 6
    assert find_slots("cpu", 3, None).limit(1) == 3
    one_trial = find_slots("cpu", None, 1)
    slot = one_trial.acquire(1)
    assert one_trial.limit(1) == 1 and slot and slot.environment == {}  # with all threads
    assert find_slots("auto", None, 1).limit(1) == 2
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert find_slots("auto", None, None).limit(1) == 6
    assert find_slots("gpu", None, None).limit(1) == 1  # the job says that there is none
    monkeypatch.setattr(sys, "platform", "darwin")
    assert find_slots("auto", None, None).limit(1) == 1  # Apple's GPU
    assert find_slots("cpu", None, None).limit(1) == 6


def test_cuda_visible_devices_is_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2, GPU-5a")
    assert visible_gpus("auto") == ["2", "GPU-5a"]
    assert visible_gpus("cpu") == []
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert visible_gpus("gpu") == []


def test_gpus_are_counted_by_nvidia_smi(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    gpus = ["GPU 0: NVIDIA A30 (UUID: GPU-a)", "GPU 1: NVIDIA A30 (UUID: GPU-b)"]
    instances = [f"  MIG 1g.6gb      Device  {number}: (UUID: MIG-{number})" for number in (0, 1)]
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\ncat {tmp_path}/listed\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    for listed, names in (
        (gpus, ["0", "1"]),
        ([*gpus, *instances], ["GPU-a", "MIG-0", "MIG-1"]),  # CUDA sees one instance of a GPU's number
        ([gpus[0], *instances, gpus[1]], ["MIG-0", "MIG-1", "GPU-b"]),
        ([], []),
    ):
        (tmp_path / "listed").write_text("".join(f"{line}\n" for line in listed))
        assert visible_gpus("auto") == names
