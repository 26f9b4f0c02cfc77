"""Which processes run."""

import contextlib
import os
from pathlib import Path


def is_alive(pid: int) -> bool:
    """Whether it still runs: one that is dead and was not collected does not."""
    with contextlib.suppress(ProcessLookupError, FileNotFoundError):
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def group_members(group: int) -> list[int]:
    """The processes of a process group that still run."""
    members = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, pgrp = stat.read_text().rpartition(")")[2].split()[:3]
            if int(pgrp) == group and state != "Z":
                members.append(int(stat.parent.name))
    return members


def processes_that_name(folder: Path) -> list[int]:
    """The processes that have the folder in their command: a sweep's jobs, whatever they started."""
    pids = []
    for cmdline in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if os.fsencode(folder) in cmdline.read_bytes():  # empty for one that is dead
                pids.append(int(cmdline.parent.name))
    return pids
