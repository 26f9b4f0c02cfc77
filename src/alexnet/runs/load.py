"""How busy a machine was with other work during a run: without knowing that, a speed cannot be believed."""

import os
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from alexnet.machine import allowed_cpus, cpu_limit, own_cgroups, table_entry

# environment of a sweep's job
LAUNCHER = "ALEXNET_LAUNCHER_PID"  # the process whose descendants are the jobs of the sweep
SWEEP_JOBS = "ALEXNET_SWEEP_JOBS"  # how many of them run at a time

NOTICEABLE = 0.2  # cores; an idle machine's services take less
NOTICEABLE_SHARE = 0.02  # of the cores, where there are many
FULL = 0.75  # share of the cores in use above which programs wait for each other
SHORTEST = 1.0  # seconds; CPU time is counted in hundredths
PROC = Path("/proc")


@dataclass(frozen=True)
class Load:
    """Cores in use during a run, on average, of the `cores` that it might have used.

    `own_cores` are those of the run and of the `jobs` of its sweep that ran at a time, itself among them;
    `other_cores` are all others, those that the hypervisor gave to other machines included.
    """

    cores: float
    own_cores: float
    other_cores: float
    jobs: int

    @classmethod
    def read(cls, content: Any) -> "Load | None":
        """Read `load` of a result.json; None for a run that does not record it."""
        if not isinstance(content, dict):
            return None
        return cls(**{field.name: content[field.name] for field in fields(cls)})

    @property
    def busy(self) -> bool:
        """Whether other work took cores that the run, or its sweep, could have used."""
        noticeable = max(NOTICEABLE, NOTICEABLE_SHARE * self.cores)
        return self.other_cores > noticeable and self.own_cores + self.other_cores > FULL * self.cores

    def describe(self) -> str | None:
        """Return in words what kept the machine busy beside the run; None if it had the machine to itself."""
        parts = []
        if self.busy:
            parts.append(f"busy: other programs used {self.other_cores:.1f} of {self.cores:g} cores")
        if self.jobs > 1:
            parts.append(f"shared by {self.jobs} jobs of this sweep at a time")
        return "; ".join(parts) or None


class LoadMeter:
    """Measure the load from now on, from Linux's counts of CPU time. Elsewhere it is not known."""

    def __init__(self) -> None:
        self._root = own_root(os.environ, os.getpid(), os.getppid())
        self._jobs = int(os.environ.get(SWEEP_JOBS, 1))
        self._began, self._own, self._all = time.monotonic(), own_seconds(self._root), _all_seconds()

    def measure(self) -> Load | None:
        """Return the load since the meter was made; None after less than a second, or if it is not known."""
        seconds = time.monotonic() - self._began
        if seconds < SHORTEST:
            return None
        own = (own_seconds(self._root) - self._own) / seconds
        loads = [
            Load(cores, own, max(0.0, (used - self._all[place][1]) / seconds - own), self._jobs)
            for place, (cores, used) in _all_seconds().items()
            if place in self._all
        ]
        return max(loads, key=lambda load: (load.busy, load.other_cores / load.cores), default=None)


def own_root(environment: Mapping[str, str], process: int, parent: int) -> int:
    """Return the process whose descendants are a run's own work and that of its sweep.

    Where other ranks were started beside this one, by srun or torchrun, it is the parent of all.
    """
    if LAUNCHER in environment:
        return int(environment[LAUNCHER])
    ranks = environment.get("WORLD_SIZE", environment.get("SLURM_NTASKS", "1"))
    return parent if ranks != "1" else process


def own_seconds(root: int, proc: Path = PROC) -> float:
    """Return the CPU time so far of a process, its descendants, and those of them that have ended."""
    children: defaultdict[int, list[int]] = defaultdict(list)
    ticks: dict[int, int] = {}
    for stat in proc.glob("[0-9]*/stat"):
        try:
            values = stat.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        except OSError:  # it has ended
            continue
        process = int(stat.parent.name)
        children[int(values[1])].append(process)
        ticks[process] = sum(map(int, values[11:15]))  # its own in user and system mode, its ended children's
    family = [root]
    for process in family:
        family += children[process]
    return sum(ticks.get(process, 0) for process in family) / os.sysconf("SC_CLK_TCK")


def _all_seconds() -> dict[Path, tuple[float, float]]:
    """Return cores, and CPU time so far of all processes: of the CPUs allowed, of groups with a quota."""
    cpus, used = allowed_cpus(), {}
    if (busy := busy_seconds(cpus)) is not None:
        used[PROC] = float(len(cpus)), busy
    for group in own_cgroups():
        if (limit := cpu_limit(group)) is not None and (
            spent := table_entry(group / "cpu.stat", "usage_usec")
        ):
            used[group] = limit, spent / 1e6
    return used


def busy_seconds(cpus: frozenset[int], table: Path = PROC / "stat") -> float | None:
    """Return how long these CPUs have been busy, or taken by other virtual machines; None if not known."""
    try:
        lines = table.read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    names = {f"cpu{number}" for number in cpus}
    rows = [[int(value) for value in line.split()[1:9]] for line in lines if line.partition(" ")[0] in names]
    # user, nice, system, idle, iowait, irq, softirq, steal; the guests' time is in the user's
    return sum(sum(row) - row[3] - row[4] for row in rows) / os.sysconf("SC_CLK_TCK") if rows else None
