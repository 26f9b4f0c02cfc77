"""Slurm: what it is asked before jobs are submitted, the submission by submitit, and how jobs end."""

import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn, JobStatus
from hydra_plugins.hydra_submitit_launcher.config import BaseQueueConf
from submitit import AutoExecutor, Job, SlurmJob
from submitit.core.utils import FailedJobError, UncompletedJobError
from submitit.slurm.slurm import SlurmInfoWatcher, SlurmJobEnvironment

from alexnet.errors import UserError

QUEUED = "PENDING,CONFIGURING,RUNNING,SUSPENDED"  # not COMPLETING: such a job has written all it will
GONE = "ENDED"  # of a job that Slurm has forgotten, minutes after its end
ENDED = (
    "BOOT_FAIL",
    "CANCELLED",
    "COMPLETED",
    "DEADLINE",
    "FAILED",
    "NODE_FAIL",
    "OUT_OF_MEMORY",
    "TIMEOUT",
    GONE,
)
POLL_SECONDS = 60
CLOSING_SECONDS = 15  # for which a job that has written its result may stay in the queue
WARNING = "USR1"  # the signal before the time limit: the run saves, and has Slurm requeue its job


class QueueWatcher(SlurmInfoWatcher):
    """The states of jobs as squeue tells them; submitit asks sacct, which needs a database of accounts."""

    def _make_command(self) -> list[str] | None:
        if not self._registered - self._finished:
            return None
        return ["squeue", "--me", "--noheader", "--states=all", "--format=%i|%T|%N"]

    def read_info(self, string: bytes | str) -> dict[str, dict[str, str]]:
        """Return JobID, State and NodeList by job."""
        listed = string if isinstance(string, str) else string.decode()
        info = super().read_info(f"JobID|State|NodeList\n{listed}")
        return {job: {"JobID": job, "State": GONE} for job in self._registered} | info

    def is_done(self, job_id: str, mode: str = "standard") -> bool:
        """Return whether a job has ended; one that waits to be run again has not."""
        return self.get_state(job_id, mode) in ENDED


def check_slurm() -> None:
    """Raise `UserError` on a machine that cannot submit jobs to Slurm."""
    for program in ("sbatch", "srun", "squeue"):
        if shutil.which(program) is None:
            raise UserError(
                f"hydra/launcher=slurm: there is no {program} on this machine. Start the sweep on a login"
                " node of the cluster, or leave hydra/launcher out."
            )


def check_not_queued(logs: Path) -> None:
    """Raise `UserError` while jobs of an earlier start are in Slurm's queue: they would be run twice.

    In `logs` each submitted job has a folder, <id> or <id>_<index>. A job that has just written its result
    is in the queue for some seconds more: these are waited for.
    """
    submitted = {path.name.partition("_")[0] for path in logs.glob("[0-9]*")}
    deadline = time.monotonic() + CLOSING_SECONDS
    while queued := sorted(submitted & _queued()) if submitted else []:
        if time.monotonic() < deadline:
            time.sleep(1)
            continue
        raise UserError(
            f"{logs.parent}: jobs of an earlier start are still in Slurm's queue. Wait, or cancel them:"
            f" scancel {' '.join(queued)}. The same command then runs what is missing."
        )


def _queued() -> set[str]:
    """Return the ids of the user's jobs in the queue, of an array that of the whole."""
    command = ["squeue", "--me", "--noheader", f"--states={QUEUED}", "--format=%F"]
    try:
        listed = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        raise UserError(f"squeue cannot list the jobs in Slurm's queue: {error}") from error
    return set(listed.stdout.split())


def submit(
    function: Callable[..., JobReturn], calls: Sequence[tuple[Any, ...]], parameters: dict[str, Any]
) -> list[JobReturn]:
    """Submit a job for each call of `function`, wait for all, and return what they return.

    `parameters` are those of hydra-submitit-launcher. A job that Slurm ends, by a time limit or scancel,
    fails alone. Raises `UserError` where Slurm refuses them.
    """
    SlurmJob.watcher = QueueWatcher(POLL_SECONDS)
    SlurmJobEnvironment.USR_SIG = WARNING
    folder, requeues = parameters["submitit_folder"], parameters["max_num_timeout"]
    executor = AutoExecutor(folder, cluster="slurm", slurm_max_num_timeout=requeues)
    common = {field.name for field in fields(BaseQueueConf)}  # the others submitit wants with a prefix
    executor.update_parameters(
        **{
            name if name in common else f"slurm_{name}": value
            for name, value in parameters.items()
            if name not in ("submitit_folder", "max_num_timeout")
        }
    )
    try:
        jobs = executor.map_array(function, *zip(*calls, strict=True))
    except UncompletedJobError as error:  # what submitit raises where sbatch fails
        refusal = str(error).strip().splitlines()[-1].removeprefix("sbatch: error: ")
        raise UserError(
            f"Slurm rejected the jobs: {refusal}. They request: hydra.launcher.partition, cpus_per_task,"
            " mem_gb, gpus_per_node, ... (docs/how-to/slurm.md)"
        ) from error
    return [_outcome(job) for job in jobs]


def _outcome(job: "Job[JobReturn]") -> JobReturn:
    """Wait for the end of a job; return what it returns, or why it returns nothing."""
    try:
        return job.results()[0]
    except FailedJobError as error:
        reason = str(error).strip().splitlines()[-1]
    except UncompletedJobError:
        reason = f"Slurm has ended job {job.job_id}, {job.state}"
    failed = JobReturn(status=JobStatus.FAILED)
    failed.return_value = UserError(reason)
    return failed
