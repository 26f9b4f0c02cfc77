"""Planning of a sweep: from the overrides of each job to the command of its run."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf, open_dict

from alexnet.config.arguments import quote_value
from alexnet.config.hashing import config_hash
from alexnet.config.reading import to_plain_dict
from alexnet.errors import UserError
from alexnet.runs.resume import AUTO
from alexnet.sweeps.composition import JobComposer
from alexnet.sweeps.job import Job
from alexnet.sweeps.naming import job_name

# keys of hydra that concern the sweep, not its runs
SWEEP_KEYS = ("mode", "run.", "sweep.", "sweep=", "sweeper", "launcher")


@dataclass(frozen=True)
class PlannedJob:
    """A job, and the configuration that Hydra composes for it."""

    job: Job
    config: DictConfig
    run: DictConfig  # config without hydra
    overrides: list[str]
    injected_overrides: list[str]  # those that the user did not type: its folder, its names in W&B


def plan_jobs(
    loader: ConfigLoader,
    sweep: DictConfig,
    job_overrides: Sequence[Sequence[str]],
    first: int,
    *,
    accepts_divergence: bool,
) -> list[PlannedJob]:
    """Plan jobs, the first with the number `first`; see `plan_job`."""
    composer = JobComposer(loader, sweep)
    return [
        plan_job(composer, overrides, first + index, accepts_divergence=accepts_divergence)
        for index, overrides in enumerate(job_overrides)
    ]


def plan_job(
    composer: JobComposer, overrides: Sequence[str], number: int, *, accepts_divergence: bool = False
) -> PlannedJob:
    """Plan the job that `overrides` ask for, in a folder under hydra.sweep.dir.

    A run_folder in it is taken, as a study's sweeper gives it. Raises `UserError` for another one, or if the
    job's folder holds a run of another configuration.
    """
    sweep, config = composer.sweep, composer.compose(overrides)
    with open_dict(config):
        config.hydra.job.id = job_name(overrides, sweep.hydra.overrides.task)
        config.hydra.job.num = number
    HydraConfig.instance().set_config(config)  # for ${hydra:...} in the values read below
    sweep_folder = Path(str(sweep.hydra.sweep.dir)).absolute()
    run = without_hydra(config)
    resolved = to_plain_dict(run)
    folder, injected = _run_folder(resolved["run_folder"], sweep_folder, str(config.hydra.sweep.subdir))
    injected += [*_resume_override(resolved), *_tracking_overrides(resolved, folder, sweep_folder)]
    job = Job(
        name=str(folder.relative_to(sweep_folder)),
        folder=folder,
        command=(*_program(config), *_run_overrides(sweep), *overrides, *injected),
        config_hash=config_hash(resolved),
        accepts_divergence=accepts_divergence,
        **_devices_and_epochs(resolved),
    )
    job.check_folder(resolved)
    return PlannedJob(job, config, run, list(overrides), injected)


def without_hydra(config: DictConfig) -> DictConfig:
    """Return the configuration of a run from that which Hydra composed for it."""
    return OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])


def _run_folder(given: str | None, sweep_folder: Path, subdir: str) -> tuple[Path, list[str]]:
    """Return a job's folder, and the override for it unless it was given."""
    if given is not None:
        if (folder := Path(given)).is_relative_to(sweep_folder):
            return folder, []
        raise UserError(
            f"run_folder={given}: the jobs of a sweep cannot share a folder."
            " Give hydra.sweep.dir=..., where each makes its own."
        )
    folder = sweep_folder / subdir
    if not folder.is_relative_to(sweep_folder) or ".." in folder.relative_to(sweep_folder).parts:
        raise UserError(f"hydra.sweep.subdir={subdir}: not a folder in {sweep_folder}.")
    return folder, [_override("run_folder", folder)]


def _resume_override(run: dict[str, Any]) -> list[str]:
    """Return the override that makes a run resume; classical.py has none and always starts over."""
    if "resume" not in run:
        return []
    if run["resume"] not in (None, AUTO):
        raise UserError(f"resume={run['resume']}: resumes a single run, not a sweep. Leave -m out.")
    return [f"resume={AUTO}"]


def _tracking_overrides(run: dict[str, Any], folder: Path, sweep_folder: Path) -> list[str]:
    """Return the names that a tracked run gets in W&B, except those that the user gave."""
    logger = run.get("logger", {})
    if logger.get("kind") != "wandb":
        return []
    names = []
    if logger["name"] is None:
        names.append(_override("logger.name", folder.relative_to(sweep_folder)))
    if logger["group"] is None:
        names.append(_override("logger.group", _group(sweep_folder, run["outputs"])))
    if logger["job_type"] is None and folder.parent != sweep_folder:
        names.append(_override("logger.job_type", folder.parent.relative_to(sweep_folder)))
    return names


def _devices_and_epochs(run: dict[str, Any]) -> dict[str, int]:
    """Return devices and epochs of a job, if it trains a network."""
    if "trainer" not in run:
        return {}
    return {"devices": run["trainer"]["devices"], "epochs": run["trainer"]["max_epochs"]}


def unique_jobs(planned: Sequence[PlannedJob]) -> list[Job]:
    """Return each job once. Raises `UserError` if different jobs would have the same folder."""
    jobs: dict[Path, Job] = {}
    for job in (item.job for item in planned):
        known = jobs.setdefault(job.folder, job)
        if known.config_hash != job.config_hash:
            raise UserError(
                f"hydra.sweep.subdir gives different jobs the same folder, {job.folder}."
                " Include in it what differs between them."
            )
    return list(jobs.values())


def _program(config: DictConfig) -> list[str]:
    """Return the command of this program, with the flags that decide which configuration it reads."""
    main = Path(sys.argv[0]).absolute()
    program = [sys.executable, str(main)]
    sources = [source for source in config.hydra.runtime.config_sources if source.provider == "command-line"]
    program += [part for source in sources for part in ("--config-dir", str(source.path))]
    if config.hydra.job.config_name != main.stem:
        program += ["--config-name", str(config.hydra.job.config_name)]
    return program


def _run_overrides(sweep: DictConfig) -> list[str]:
    def key(override: str) -> str:
        return override.lstrip("+~").removeprefix("hydra").lstrip("./")

    return [item for item in sweep.hydra.overrides.hydra if not key(item).startswith(SWEEP_KEYS)]


def _group(folder: Path, outputs: str) -> str:
    """Return studies/innovations/<settings>, or the name of a folder outside of `outputs`."""
    parent = Path(outputs).absolute()
    return str(folder.relative_to(parent)) if folder.is_relative_to(parent) else folder.name


def _override(key: str, value: object) -> str:
    return f"{key}={quote_value(str(value))}"
