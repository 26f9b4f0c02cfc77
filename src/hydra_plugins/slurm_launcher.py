"""Launcher `slurm`: each job of a sweep is a job of Slurm, submitted by submitit.

The folders are those of hydra/launcher=process; the same command again runs the jobs that are missing.
"""

import shlex
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, JobStatus, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from hydra_plugins.process_launcher import job_return

if TYPE_CHECKING:
    from alexnet.sweeps.planning import PlannedJob

NO_SUBDIR = "hydra.sweep.subdir=."  # or Hydra would make the run's folder before the run does


class SlurmLauncher(Launcher):
    """Launcher that submits the jobs that are not done, waits for them, and returns the objectives of all.

    Its parameters are those of hydra-submitit-launcher's SlurmLauncher. A sweeper sets
    `accepts_divergence` and `batch_size`: see `ProcessLauncher`.
    """

    accepts_divergence = False
    batch_size: int | None = None

    def __init__(self, **parameters: Any) -> None:
        self._parameters = parameters
        self._logs = Path(str(parameters["submitit_folder"])).parent
        self._lock: Any = None

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        from hydra_plugins.hydra_submitit_launcher import submitit_launcher

        from alexnet.config.training import Accelerator
        from alexnet.paths import SOURCES
        from alexnet.sweeps.slurm import WARNING, check_slurm

        check_slurm()
        # the signal comes before the time limit: the run saves, and requeues its job
        exported = {"PYTHONPATH": shlex.quote(str(SOURCES)), "SUBMITIT_PREEMPT_SIGNAL": WARNING}
        lines = [f"export {name}={value}" for name, value in exported.items()]
        self._parameters["setup"] = [*lines, *(self._parameters["setup"] or [])]
        if "trainer" not in config or config.trainer.accelerator is Accelerator.cpu:
            self._parameters["gpus_per_node"] = None
        self._job = submitit_launcher.SlurmLauncher(**self._parameters)
        self._job.setup(hydra_context=hydra_context, task_function=task_function, config=config)
        self._loader, self._config = hydra_context.config_loader, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        from alexnet.errors import first_line
        from alexnet.sweeps.planning import plan_jobs, unique_jobs
        from alexnet.sweeps.runner import announce, conclude, jobs_failed, lock_sweep
        from alexnet.sweeps.slurm import check_not_queued

        setup_globals()
        folder = Path(str(self._config.hydra.sweep.dir)).absolute()
        if self._lock is None:
            self._lock = lock_sweep(folder)  # held until this process ends
            check_not_queued(self._logs)
        loader, config, accepts = self._loader, self._config, self.accepts_divergence
        planned = plan_jobs(loader, config, job_overrides, initial_job_idx, accepts_divergence=accepts)
        jobs = unique_jobs(planned)
        waiting = {item.job.folder: item for item in planned if not item.job.is_done()}
        if self.batch_size is None:
            announce(len(jobs), len(jobs) - len(waiting), "in Slurm's queue", folder)
        began = time.monotonic()
        returns = dict(zip(waiting, self._submit(list(waiting.values()), initial_job_idx), strict=True))
        done = {path: item for path, item in returns.items() if item.status is JobStatus.COMPLETED}
        failed = [path for path in returns.keys() - done.keys() if not waiting[path].job.is_done()]
        reasons = {path: first_line(returns[path]._return_value) for path in failed}
        seconds = time.monotonic() - began if waiting else None
        if self.batch_size is None:
            conclude(len(jobs), len(jobs) - len(reasons), seconds, folder)
        problem = jobs_failed(jobs, reasons, self._logs)
        return [done.get(item.job.folder) or job_return(item, problem) for item in planned]

    def _submit(self, waiting: "list[PlannedJob]", number: int) -> Sequence[JobReturn]:
        from alexnet.sweeps.slurm import submit

        if not waiting:
            return []
        for item in waiting:
            item.job.set_aside()
        overrides = [[*item.overrides, *item.injected_overrides, NO_SUBDIR] for item in waiting]
        state = Singleton.get_state()
        calls = [
            (given, "hydra.sweep.dir", number + index, f"job_id_for_{number + index}", state)
            for index, given in enumerate(overrides)
        ]
        try:
            return submit(self._job, calls, self._job.params)
        except KeyboardInterrupt:
            raise KeyboardInterrupt(
                "Stopped waiting; the jobs continue in Slurm. When they have ended (squeue --me), the same"
                " command runs what is missing."
            ) from None
