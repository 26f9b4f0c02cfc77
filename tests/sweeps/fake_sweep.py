"""A sweep of fake runs in a process of its own: fake_sweep.py <folder> <at once> <grace> <behaviour>...

As the launcher plugin does it, without Hydra: locks the folder, runs the jobs, status 1 where one failed.
"""

import sys
from pathlib import Path

from alexnet.errors import UserError
from alexnet.sweeps.job import Job
from alexnet.sweeps.runner import failure, lock_sweep, run_jobs
from alexnet.sweeps.slots import GpuSlots

FAKE = Path(__file__).with_name("fake_run.py")


def fake_job(
    folder: Path, behaviour: str, config_hash: str = "abc", devices: int = 1, *, in_a_search: bool = False
) -> Job:
    """A job whose process is fake_run.py."""
    command = (sys.executable, str(FAKE), str(folder), config_hash, behaviour)
    return Job(folder.name, folder, command, config_hash, devices, accepts_divergence=in_a_search)


def main(folder: Path, at_once: int, grace: float, behaviours: list[str]) -> None:
    lock = lock_sweep(folder)
    jobs = [fake_job(folder / f"job={i}", behaviour) for i, behaviour in enumerate(behaviours)]
    problem = failure(run_jobs(jobs, GpuSlots([], at_once), folder, grace=grace))
    lock.release()
    if problem:
        raise problem


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), sys.argv[4:])
    except UserError as error:
        sys.exit(f"Error: {error}")
    except KeyboardInterrupt as stopped:
        sys.exit(str(stopped))
