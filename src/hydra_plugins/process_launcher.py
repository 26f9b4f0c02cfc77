"""Launcher `process`: each job of a sweep is a process of its own, see `alexnet.sweeps`.

hydra_plugins has no __init__.py: it is a namespace package that Hydra's other plugins share. Hydra imports
every module in it at each start, before it composes a configuration, so that these are few and light.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn, JobStatus, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from alexnet.sweeps.naming import sweep_folder, sweep_name

if TYPE_CHECKING:
    from alexnet.sweeps.planning import PlannedJob


@dataclass
class ProcessLauncherConf:
    """Keys of hydra.launcher."""

    _target_: str = "hydra_plugins.process_launcher.ProcessLauncher"
    # at a time; null: one for each trainer.devices GPUs; on the CPU one for each core (for $OMP_NUM_THREADS
    # cores, where that is set), as far as memory allows. A number shares the cores: 1 gives a job all threads
    jobs: int | None = None
    grace_seconds: float = 20  # after Ctrl-C, for a job to write its result


def in_study(study: str | None, inside: Any, outside: Any) -> Any:
    """Return `inside` if a study is given, else `outside`. Raises `UserError` for a folder that is none."""
    if study is None:
        return outside
    from alexnet.paths import absolute
    from alexnet.studies.folder import require_study

    require_study(absolute(study))
    return inside


OmegaConf.register_new_resolver("in_study", in_study, replace=True)
# cached: Hydra passes the cache of a sweep's configuration on to its jobs, which thus share its folder
OmegaConf.register_new_resolver("sweep_name", sweep_name, replace=True, use_cache=True)
OmegaConf.register_new_resolver("sweep_folder", sweep_folder, replace=True, use_cache=True)

ConfigStore.instance().store(
    group="hydra/launcher", name="process", node=ProcessLauncherConf, provider="process_launcher"
)


class FailedReturn(JobReturn):
    """Return value of a failed job: raises its error, without the line that Hydra would print before it."""

    @property  # type: ignore[misc]  # a read-only attribute in place of a writable one
    def return_value(self) -> Any:
        raise self._return_value


class ProcessLauncher(Launcher):
    """Launcher that runs the jobs that are not done yet, and returns the objectives of all.

    Only one launcher at a time may work in a sweep's folder. A sweeper may call `launch` repeatedly.
    A sweeper sets `accepts_divergence`, see `Job`, and `batch_size` where it launches as many jobs again and
    again and reports on them itself.

    GPUs: a job has GPUs of its own. CPU: as many jobs as there are cores, as far as memory allows, each with
    one thread; that is faster than one job with all threads. The number of threads decides how sums are
    rounded. It depends on `jobs` and the machine, not on how many jobs are left to run.
    """

    accepts_divergence = False
    batch_size: int | None = None

    def __init__(self, jobs: int | None, grace_seconds: float) -> None:
        self._at_once, self._grace = jobs, grace_seconds
        self._lock: Any = None

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        _check_launcher(self._at_once)  # here, where the error reaches the user as it is
        self._loader, self._config = hydra_context.config_loader, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        from alexnet.sweeps.planning import plan_jobs, unique_jobs
        from alexnet.sweeps.runner import failure, lock_sweep, run_jobs
        from alexnet.sweeps.slots import find_slots

        setup_globals()
        folder = Path(str(self._config.hydra.sweep.dir)).absolute()
        self._lock = self._lock or lock_sweep(folder)  # held until this process ends
        loader, config, accepts = self._loader, self._config, self.accepts_divergence
        planned = plan_jobs(loader, config, job_overrides, initial_job_idx, accepts_divergence=accepts)
        run = planned[0].config
        accelerator = run.trainer.accelerator.value if "trainer" in run else "cpu"
        slots = find_slots(accelerator, self._at_once, self.batch_size)
        jobs, is_search = unique_jobs(planned), self.batch_size is not None
        statuses = run_jobs(jobs, slots, folder, self._grace, part_of_search=is_search)
        problem = failure(statuses)
        return [job_return(item, problem) for item in planned]


def job_return(planned: "PlannedJob", problem: Exception | None) -> JobReturn:
    """Return what Hydra reports of a job: its objective, or `problem` if it is not done."""
    config = planned.config
    common: dict[str, Any] = {
        "overrides": planned.overrides,
        "cfg": planned.run,
        "hydra_cfg": OmegaConf.masked_copy(config, "hydra"),
        "working_dir": str(planned.job.folder),
        "task_name": config.hydra.job.name,
    }
    if planned.job.is_done():
        return JobReturn(**common, status=JobStatus.COMPLETED, _return_value=planned.job.objective())
    return FailedReturn(**common, status=JobStatus.FAILED, _return_value=problem)


def _check_launcher(jobs: int | None) -> None:
    from alexnet.errors import UserError

    if os.name != "posix":
        raise UserError(
            "hydra/launcher=process needs Linux or macOS. On this system, use hydra/launcher=basic."
        )
    if jobs is not None and jobs < 1:
        raise UserError(f"hydra.launcher.jobs={jobs}: expected 1 or more, or null.")
