"""Which devices a job sees."""

import os
import subprocess
from collections import Counter
from dataclasses import dataclass


@dataclass(frozen=True)
class Place:
    """Where a job runs: the GPUs that it sees; none on the CPU."""

    gpus: tuple[str, ...]
    environment: dict[str, str]


class Devices:
    """The GPUs of this machine, and the jobs on each.

    `jobs` is how many may run at a time; None is as many as have GPUs of their own, and one on
    the CPU. A larger number shares GPUs evenly.
    """

    def __init__(self, gpus: list[str], jobs: int | None) -> None:
        self.gpus, self.jobs = gpus, jobs
        self._running = 0
        self._load = Counter(dict.fromkeys(gpus, 0))

    def limit(self, devices: int) -> int:
        """How many jobs of so many devices may run at a time."""
        return self.jobs or max(1, len(self.gpus) // devices)

    def take(self, devices: int) -> Place | None:
        """A place for a job of so many devices; None while there is none free."""
        idle_first = sorted(self.gpus, key=lambda gpu: self._load[gpu])
        chosen = tuple(sorted(idle_first[:devices], key=self.gpus.index))
        too_busy = self.jobs is None and any(self._load[gpu] for gpu in chosen)
        if too_busy or self._running >= self.limit(devices):
            return None
        self._running += 1
        self._load.update(chosen)
        return Place(chosen, self._environment(chosen, devices))

    def give_back(self, place: Place) -> None:
        """The job that was there has ended."""
        self._running -= 1
        self._load.subtract(place.gpus)

    def _environment(self, chosen: tuple[str, ...], devices: int) -> dict[str, str]:
        environment = {"CUDA_VISIBLE_DEVICES": ",".join(chosen)} if chosen else {}
        limit = self.limit(devices)
        if limit > 1 and "OMP_NUM_THREADS" not in os.environ:  # or all jobs would use all cores
            # not from how many jobs are left to do: the threads decide how sums are rounded
            threads = max(1, (os.cpu_count() or 1) // (limit * devices))
            environment["OMP_NUM_THREADS"] = str(threads)
        return environment


def visible_gpus(accelerator: str) -> list[str]:
    """What CUDA_VISIBLE_DEVICES may name here; nothing for the CPU and for Apple's GPU."""
    if accelerator not in ("auto", "gpu"):
        return []
    if (visible := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        return [gpu.strip() for gpu in visible.split(",") if gpu.strip() not in ("", "-1", "NoDevFiles")]
    try:
        listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=60, check=True)
    except (OSError, subprocess.SubprocessError):
        import torch  # takes seconds; it also knows AMD's GPUs

        return [str(index) for index in range(torch.cuda.device_count())]
    gpus = [line for line in listed.stdout.splitlines() if line.startswith("GPU ")]
    return [str(index) for index in range(len(gpus))]
