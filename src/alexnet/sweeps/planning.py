"""From the overrides of a sweep's job to the single run that does it."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf, open_dict

from alexnet.config.hashing import config_hash
from alexnet.config.reading import to_plain_dict
from alexnet.errors import UserError
from alexnet.runs.resume import AUTO
from alexnet.sweeps.job import Job
from alexnet.sweeps.naming import job_name

# what is about the sweep, and not about the run
SWEEP_KEYS = ("mode", "run.", "sweep.", "sweep=", "sweeper", "launcher")


@dataclass(frozen=True)
class PlannedJob:
    """A job, and the configuration that Hydra composes for it."""

    job: Job
    config: DictConfig
    run: DictConfig  # config without hydra
    overrides: list[str]
    own: list[str]  # overrides that nobody typed: its folder, its names in W&B


def plan_job(loader: ConfigLoader, sweep: DictConfig, overrides: Sequence[str], number: int) -> PlannedJob:
    """The job that `overrides` ask for, in a folder under hydra.sweep.dir.

    `sweep` is the configuration of the whole command. Raises `UserError` where run_folder is given,
    or where the job's folder holds the result of something else.
    """
    config = loader.load_sweep_config(sweep, list(overrides))
    with open_dict(config):
        config.hydra.job.id = job_name(overrides, sweep.hydra.overrides.task)
        config.hydra.job.num = number
    HydraConfig.instance().set_config(config)  # for ${hydra:...} in what follows
    folder = Path(str(sweep.hydra.sweep.dir)).absolute()
    place = folder / str(config.hydra.sweep.subdir)
    if not place.is_relative_to(folder) or ".." in place.relative_to(folder).parts:
        raise UserError(f"hydra.sweep.subdir={config.hydra.sweep.subdir}: not a place in {folder}.")
    run = OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])
    resolved = to_plain_dict(run)
    if resolved["run_folder"] is not None:
        raise UserError(
            f"run_folder={resolved['run_folder']}: the jobs of a sweep cannot share a folder."
            " Give hydra.sweep.dir=..., where each makes its own."
        )
    own = [_quoted("run_folder", place), *_resume(resolved), *_tracked_as(resolved, place, folder)]
    job = Job(
        name=str(place.relative_to(folder)),
        folder=place,
        command=(*_program(config), *_about_the_run(sweep), *overrides, *own),
        config_hash=config_hash(resolved),
        **_length(resolved),
    )
    job.check_place()
    return PlannedJob(job, config, run, list(overrides), own)


def _resume(run: dict[str, Any]) -> list[str]:
    """How a program that can go on with a run is told to; classical.py begins again by itself."""
    if "resume" not in run:
        return []
    if run["resume"] not in (None, AUTO):
        raise UserError(f"resume={run['resume']}: one run, and not a sweep's. Leave -m out.")
    return [f"resume={AUTO}"]


def _tracked_as(run: dict[str, Any], place: Path, folder: Path) -> list[str]:
    """The run's names in W&B, where it goes there and has none yet."""
    if "logger" not in run:
        return []
    own = []
    if run["logger"]["name"] is None:
        own.append(_quoted("logger.name", place.relative_to(folder)))
    if run["logger"]["group"] is None:
        own.append(_quoted("logger.group", _group(folder, run["outputs"])))
    if run["logger"]["job_type"] is None and place.parent != folder:
        own.append(_quoted("logger.job_type", place.parent.relative_to(folder)))
    return own


def _length(run: dict[str, Any]) -> dict[str, int]:
    """Devices and epochs of a job, where it trains a network."""
    if "trainer" not in run:
        return {}
    return {"devices": run["trainer"]["devices"], "epochs": run["trainer"]["max_epochs"]}


def unique_jobs(planned: Sequence[PlannedJob]) -> list[Job]:
    """Each job once. Raises `UserError` where different ones would have the same folder."""
    jobs: dict[Path, Job] = {}
    for job in (item.job for item in planned):
        known = jobs.setdefault(job.folder, job)
        if known.config_hash != job.config_hash:
            raise UserError(
                f"hydra.sweep.subdir gives different jobs the same folder, {job.folder}."
                " Name in it what differs between them."
            )
    return list(jobs.values())


def _program(config: DictConfig) -> list[str]:
    """This program, with the flags that decide which configuration it reads."""
    main = Path(sys.argv[0]).absolute()
    program = [sys.executable, str(main)]
    sources = [source for source in config.hydra.runtime.config_sources if source.provider == "command-line"]
    program += [part for source in sources for part in ("--config-dir", str(source.path))]
    if config.hydra.job.config_name != main.stem:
        program += ["--config-name", str(config.hydra.job.config_name)]
    return program


def _about_the_run(sweep: DictConfig) -> list[str]:
    def key(override: str) -> str:
        return override.lstrip("+~").removeprefix("hydra").lstrip("./")

    return [item for item in sweep.hydra.overrides.hydra if not key(item).startswith(SWEEP_KEYS)]


def _group(folder: Path, outputs: str) -> str:
    """studies/innovations/<settings>, or the last part of a folder elsewhere."""
    above = Path(outputs).absolute()
    return str(folder.relative_to(above)) if folder.is_relative_to(above) else folder.name


def _quoted(key: str, value: object) -> str:
    escaped = str(value).replace("\\", "\\\\").replace("'", "\\'")
    return f"{key}='{escaped}'"
