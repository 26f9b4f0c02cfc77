"""What of the machine this process may use: cores, memory, open files."""

import os
import resource
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from alexnet.doctor.finding import Finding, ok, warning

FEWEST_FILES = 1024  # sockets, archives and libraries of a run on several GPUs
ROOT = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Machine:
    """`usable_cores` and `memory` (bytes; None where it is not known) are what this process may have."""

    cores: int
    usable_cores: float
    memory: float | None
    open_files: int


def this_machine() -> Machine:
    """As it is now. Limits of containers and batch systems are known where they are cgroups of version 2."""
    cores = os.cpu_count() or 1
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else cores
    groups = own_cgroups(Path("/proc/self/cgroup"), ROOT)
    free = [_available_memory(Path("/proc/meminfo")), *(_memory_left(group) for group in groups)]
    limits = [cpus for group in groups if (cpus := cpu_limit(group)) is not None]
    open_files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return Machine(
        cores,
        min([allowed, *limits]),
        min((each for each in free if each is not None), default=None),
        open_files,
    )


def check_machine(machine: Machine) -> Iterator[Finding]:
    """Cores, memory, and what is tighter than one would expect."""
    memory = "" if machine.memory is None else f", {machine.memory / 1e9:.1f} GB of memory free"
    files = machine.open_files if machine.open_files >= 0 else "any number of"
    yield ok("machine", f"{machine.usable_cores:g} of {machine.cores} CPU cores{memory}, {files} open files")
    if machine.usable_cores < machine.cores:
        threads = max(1, int(machine.usable_cores))
        seen = f"this process may use {machine.usable_cores:g} of {machine.cores}; there are threads for all"
        advice = f"Ask for more cores, or start with OMP_NUM_THREADS={threads}, data.workers={threads}."
        yield warning("cores", seen, advice)
    if 0 <= machine.open_files < FEWEST_FILES:
        seen = f"only {machine.open_files} at a time"
        yield warning("open files", seen, f"Before training: ulimit -n {FEWEST_FILES}, or more.")


def own_cgroups(table: Path, root: Path) -> list[Path]:
    """This process's group (of version 2) and those that it lies in; each of them may have limits."""
    try:
        lines = table.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    for line in lines:
        if line.startswith("0::"):
            own = root / line.removeprefix("0::").lstrip("/")
            return [group for group in (own, *own.parents) if group.is_relative_to(root)]
    return []


def cpu_limit(group: Path) -> float | None:
    """How many cores' worth of time a group has; None without a limit."""
    try:
        quota, period = (group / "cpu.max").read_text(encoding="utf-8").split()
        return float(quota) / float(period)
    except (OSError, ValueError):  # there is none, or it is "max"
        return None


def _memory_left(group: Path) -> float | None:
    try:
        most, taken = (
            (group / name).read_text(encoding="utf-8") for name in ("memory.max", "memory.current")
        )
        return max(0.0, float(most) - float(taken))
    except (OSError, ValueError):
        return None


def _available_memory(table: Path) -> float | None:
    try:
        lines = table.read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    found = (line.split()[1] for line in lines if line.startswith("MemAvailable:"))
    return next((1024 * float(kib) for kib in found), None)
