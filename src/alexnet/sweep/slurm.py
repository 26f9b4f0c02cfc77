"""What a sweep asks of Slurm and tells of it, beside what submitit does."""

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from alexnet.errors import UserError
from alexnet.sweep.job import Job
from alexnet.sweep.queue import Entry, State
from alexnet.sweep.running import failure

STATES = "PENDING,CONFIGURING,RUNNING,SUSPENDED"  # not COMPLETING: such a job has written all it will


def check_slurm() -> None:
    """Raise `UserError` on a machine that cannot submit jobs."""
    for program in ("sbatch", "srun", "squeue"):
        if shutil.which(program) is None:
            raise UserError(
                f"hydra/launcher=slurm: there is no {program} on this machine. Start the sweep on a login"
                " node of the cluster, or leave hydra/launcher out."
            )


def check_not_queued(logs: Path) -> None:
    """Raise `UserError` while Slurm has jobs of an earlier start: they would be run twice.

    In `logs` each job has a folder, <id> or <id>_<index>.
    """
    submitted = {path.name.partition("_")[0] for path in logs.glob("[0-9]*")}
    if not submitted:
        return
    command = ["squeue", "--me", "--noheader", f"--states={STATES}", "--format=%F"]
    try:
        listed = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        raise UserError(f"squeue does not tell which jobs are in Slurm's queue: {error}") from error
    if queued := sorted(submitted & set(listed.stdout.split())):
        raise UserError(
            f"{logs.parent}: jobs of an earlier start are in Slurm's queue. Wait for them, or end them:"
            f" scancel {' '.join(queued)}. The same command then does what is missing."
        )


def jobs_failed(jobs: Sequence[Job], reasons: Mapping[Path, str], logs: Path) -> UserError | None:
    """What to tell of the jobs that failed, in one line; `reasons` are by the jobs' folders."""
    entries = [
        Entry(job, State.failed, reason=reasons[job.folder])
        if job.folder in reasons
        else Entry(job, State.done)
        for job in jobs
    ]
    return failure(entries, logs)


def first_line(error: BaseException) -> str:
    """What an error says, in one line."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
