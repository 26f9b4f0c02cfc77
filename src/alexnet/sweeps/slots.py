"""Slots of a sweep: how many jobs run at a time on this machine, and what each of them sees of it."""

import os
import subprocess
import sys
from abc import ABC, abstractmethod
from collections import Counter
from dataclasses import dataclass

from alexnet.machine import available_memory, usable_cores

THREADS = "OMP_NUM_THREADS"


@dataclass(frozen=True)
class Slot:
    """GPUs that a job sees, none on the CPU, and the environment variables that say so."""

    gpus: tuple[str, ...]
    environment: dict[str, str]


class Slots(ABC):
    """Slots for the jobs of a sweep on this machine."""

    def __init__(self) -> None:
        self._running = 0

    @abstractmethod
    def limit(self, devices: int) -> int:
        """Return how many jobs that need `devices` devices each may run at a time."""

    def describe(self, devices: int, jobs: int) -> str:
        """Return how many of the `jobs` run at a time, in words."""
        return f"{min(self.limit(devices), jobs)} at a time"

    def acquire(self, devices: int) -> Slot | None:
        """Return a slot for a job that needs `devices` devices, or None while none is free."""
        if self._running >= self.limit(devices):
            return None
        self._running += 1
        return Slot((), self._environment(devices))

    def release(self, slot: Slot) -> None:
        """Free the slot of a job that has ended."""
        self._running -= 1

    def expect_memory(self, peak: float, devices: int) -> None:  # noqa: B027 - a GPU's is a job's own
        """Take into account that a job on `devices` devices has had `peak` bytes of memory on its first."""

    def _environment(self, devices: int) -> dict[str, str]:
        """Return a job's number of threads.

        It does not depend on how many jobs are left, as it decides how sums are rounded: a job that is run
        alone, later, gives the same numbers.
        """
        threads = self._threads(devices)
        return {} if threads is None or THREADS in os.environ else {THREADS: str(threads)}

    @abstractmethod
    def _threads(self, devices: int) -> int | None:
        """Return the number of threads for each device of a job; None: as many as torch takes by itself."""


class GpuSlots(Slots):
    """Slots on GPUs.

    `jobs` is the number of jobs that may run at a time; None stands for as many as get GPUs of their own. A
    larger number shares GPUs evenly, and all share the `cores`.
    """

    def __init__(self, gpus: list[str], jobs: int | None, cores: int = 1) -> None:
        super().__init__()
        self.gpus, self.jobs, self.cores = gpus, jobs, cores
        self._load = Counter(dict.fromkeys(gpus, 0))

    def limit(self, devices: int) -> int:
        return self.jobs or max(1, len(self.gpus) // devices)

    def acquire(self, devices: int) -> Slot | None:
        idle_first = sorted(self.gpus, key=lambda gpu: self._load[gpu])
        chosen = tuple(sorted(idle_first[:devices], key=self.gpus.index))
        too_busy = self.jobs is None and any(self._load[gpu] for gpu in chosen)
        if too_busy or (slot := super().acquire(devices)) is None:
            return None
        self._load.update(chosen)
        visible = {"CUDA_VISIBLE_DEVICES": ",".join(chosen)} if chosen else {}
        return Slot(chosen, slot.environment | visible)

    def release(self, slot: Slot) -> None:
        super().release(slot)
        self._load.subtract(slot.gpus)

    def _threads(self, devices: int) -> int | None:
        return _shared_threads(self.cores, self.limit(devices), devices)


FIRST_GUESS = 3.5e9  # bytes of a process before one has shown what it takes: AlexNet in full, batches of 128
MARGIN = 1.1  # what later epochs may take beyond the first


class CoreSlots(Slots):
    """Slots on the CPU.

    `jobs` is the number of jobs that may run at a time, which share the cores. None stands for a core, and a
    thread, for each device of a job, or for $OMP_NUM_THREADS of them, as far as the bytes of `memory` allow
    (None: not known).
    """

    def __init__(self, cores: int, memory: float | None, jobs: int | None) -> None:
        super().__init__()
        self.cores, self.memory, self.jobs = cores, memory, jobs
        self._need: float | None = None  # bytes of a process, the largest seen

    def limit(self, devices: int) -> int:
        if self.jobs is not None:
            return self.jobs
        by_cores = self.cores // (_threads_given() * devices)
        if self.memory is None:
            return max(1, by_cores)
        return max(1, min(by_cores, int(self.memory // ((self._need or FIRST_GUESS) * devices))))

    def describe(self, devices: int, jobs: int) -> str:
        text = super().describe(devices, jobs)
        if self.jobs is not None:
            return text
        threads = _threads_given()
        text += f", {threads} threads each" if threads > 1 else ", one thread each"
        limited = self.limit(devices) < min(jobs, self.cores // (threads * devices))
        return f"{text} (limited by memory)" if limited else text

    def expect_memory(self, peak: float, devices: int) -> None:
        self._need = max(self._need or 0.0, MARGIN * peak)

    def _threads(self, devices: int) -> int | None:
        return 1 if self.jobs is None else _shared_threads(self.cores, self.jobs, devices)


def _shared_threads(cores: int, jobs: int, devices: int) -> int | None:
    return None if jobs == 1 else max(1, cores // (jobs * devices))


def _threads_given() -> int:
    """Return the threads that the user wants for each device, 1 if that is left open."""
    given = os.environ.get(THREADS, "").partition(",")[0]
    return max(1, int(given)) if given.isdecimal() else 1


def find_slots(accelerator: str, jobs: int | None, batch_size: int | None) -> Slots:
    """Return the slots of this machine for runs with this trainer.accelerator.

    `jobs` is how many the user wants at a time, None as many as there is room for; `batch_size` how many a
    sweeper starts together, None all.
    """
    cores = max(1, int(usable_cores()))
    gpus = visible_gpus(accelerator)
    if gpus or accelerator in ("gpu", "mps") or (accelerator == "auto" and sys.platform == "darwin"):
        return GpuSlots(gpus, jobs, cores)  # Apple's GPU has no name, and is one
    return CoreSlots(cores, available_memory(), jobs or batch_size)


def visible_gpus(accelerator: str) -> list[str]:
    """Return the names that CUDA_VISIBLE_DEVICES may hold here; none for the CPU and for Apple's GPU."""
    if accelerator not in ("auto", "gpu"):
        return []
    if (visible := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        return [gpu.strip() for gpu in visible.split(",") if gpu.strip() not in ("", "-1", "NoDevFiles")]
    try:
        listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=60, check=True)
    except (OSError, subprocess.SubprocessError):
        import torch  # takes seconds; it also knows AMD's GPUs

        return [str(index) for index in range(torch.cuda.device_count())]
    return _gpu_names(listed.stdout.splitlines())


def _gpu_names(listed: list[str]) -> list[str]:
    """Return a name for each GPU in the lines of `nvidia-smi -L`, or for each instance of a divided one.

    Undivided ones are numbered. A divided one (MIG) would be seen as its first instance alone; instances are
    known by their UUIDs only, and so are then all.
    """
    gpus: list[list[str]] = []  # the UUIDs of each, and of its instances
    for line in listed:
        uuid = line.partition("UUID: ")[2].rstrip(") ")
        if line.startswith("GPU "):
            gpus.append([uuid])
        elif line.lstrip().startswith("MIG ") and gpus:
            gpus[-1].append(uuid)
    if all(len(uuids) == 1 for uuids in gpus):
        return [str(index) for index in range(len(gpus))]
    return [uuid for uuids in gpus for uuid in uuids[1:] or uuids]
