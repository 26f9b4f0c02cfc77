"""Cores and memory that this process may use, with the limits of containers and batch systems.

Imports no torch, so that what starts other processes stays small.
"""

import os
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")


def allowed_cpus() -> frozenset[int]:
    """Return the numbers of the CPUs that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return frozenset(os.sched_getaffinity(0))
    return frozenset(range(os.cpu_count() or 1))


def usable_cores() -> float:
    """Return how many cores this process may use, which with a quota of time need not be whole."""
    limits = (cpu_limit(group) for group in own_cgroups())
    return min([len(allowed_cpus()), *(limit for limit in limits if limit is not None)])


def available_memory() -> float | None:
    """Return how many bytes of memory this process may still take; None if that is not known."""
    amounts = [_free_memory(Path("/proc/meminfo")), *map(memory_left, own_cgroups())]
    return min((amount for amount in amounts if amount is not None), default=None)


def own_cgroups(table: Path = Path("/proc/self/cgroup"), root: Path = CGROUPS) -> list[Path]:
    """Return this process's cgroup (of version 2) and its parents; each of them may have limits."""
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
    """Return how many cores' worth of time a cgroup has, or None without a limit."""
    try:
        quota, period = (group / "cpu.max").read_text(encoding="utf-8").split()
        return float(quota) / float(period)
    except (OSError, ValueError):  # no such file, or the quota is "max"
        return None


def memory_left(group: Path) -> float | None:
    """Return how many bytes a cgroup may still take, or None without a limit. Cached files can be dropped."""
    try:
        limit, used = (
            float((group / name).read_text(encoding="utf-8")) for name in ("memory.max", "memory.current")
        )
    except (OSError, ValueError):
        return None
    return max(0.0, limit - used + (table_entry(group / "memory.stat", "inactive_file") or 0))


def _free_memory(table: Path) -> float | None:
    kib = table_entry(table, "MemAvailable:")
    return None if kib is None else 1024 * kib


def table_entry(table: Path, name: str) -> float | None:
    """Return the number in a table's line "<name> <number> ..."; None if there is none."""
    try:
        lines = table.read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    return next((float(line.split()[1]) for line in lines if line.split()[:1] == [name]), None)
