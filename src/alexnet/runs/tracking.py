"""Weights & Biases through Lightning's logger: online where somebody is logged in, else offline."""

import json
import logging
import os
import re
import shlex
from pathlib import Path
from secrets import token_hex
from typing import Any

import yaml
from lightning.pytorch.loggers import WandbLogger

from alexnet.config import LoggerConfig, WandbMode
from alexnet.config.hashing import flatten, is_under
from alexnet.config.reading import read_saved
from alexnet.errors import UserError
from alexnet.paths import CONF
from alexnet.runs.folder import RunFolder
from alexnet.runs.resume import is_running, read_run_config, status
from alexnet.terminal import console

INIT_SECONDS = 12  # wait this long for the server before the run goes on offline
FINISH_SECONDS = 60  # and this long for the last uploads

log = logging.getLogger(__name__)


def build_wandb_logger(
    config: LoggerConfig, folder: RunFolder, run_config: dict[str, Any], overrides: list[str]
) -> WandbLogger:
    """A started W&B run that mirrors the run folder. Never asks anything.

    What was typed of the network, the data and the recipe becomes tags, and what an experiment
    sets. A folder that has a W&B run goes on with it. Where the server cannot be reached the run is kept
    offline, beside the rest of the folder. Raises `UserError` where wandb is not installed.
    """
    try:
        import wandb
    except ImportError as error:
        raise UserError("logger=wandb needs the package wandb: install it, or use logger=csv.") from error

    os.environ.setdefault("WANDB_SILENT", "true")

    name = config.name or folder.path.name
    earlier = _earlier_id(folder.path)

    def start(offline: bool) -> WandbLogger:
        run = wandb.init(
            project=config.project,
            entity=config.entity,
            name=name,
            id=earlier or _run_id(name),
            resume="allow" if earlier and not offline else None,
            dir=folder.path,
            group=config.group,
            job_type=config.job_type,
            tags=[*config.tags, *_tags(overrides)],
            config=run_config,
            mode="offline" if offline else "online",
            settings=wandb.Settings(
                silent=True, console="off", init_timeout=INIT_SECONDS, finish_timeout=FINISH_SECONDS
            ),
        )
        run.define_metric("trainer/global_step")
        run.define_metric("*", step_metric="trainer/global_step", step_sync=True)  # as Lightning does
        upload = config.log_checkpoint and not offline
        return WandbLogger(experiment=run, save_dir=folder.path, log_model=upload)

    if not wants_online(config.mode):
        return start(offline=True)
    try:
        return start(offline=False)
    except Exception as error:  # wandb raises many types; none of them is worth losing a run
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        log.warning(f"W&B cannot be reached ({reason}). This run is kept offline.")
        wandb.teardown()
        return start(offline=True)


def upload_command(logger: WandbLogger) -> str | None:
    """What to type to upload an offline run; None for one that is online."""
    run = logger.experiment
    if not run.offline:
        return None
    part = Path(run.dir).parent
    parts = sorted(part.parent.glob(f"offline-run-*-{run.id}"))
    if len(parts) == 1:
        return f"wandb sync {shlex.quote(str(part))}"
    return f"wandb sync {shlex.quote(str(part.parent))}/offline-run-*"


def finish(logger: WandbLogger, folder: RunFolder, result: dict[str, Any]) -> None:
    """End the W&B run with the pictures and the result; what goes wrong there is told, and no more."""
    import wandb

    try:
        for picture in sorted(folder.figures.glob("*.png")):
            logger.log_image(picture.stem, [str(picture)])
        logger.experiment.summary["result"] = result
        if result["status"] == "interrupted":
            logger.experiment.mark_preempting()  # it goes on later
        wandb.finish(exit_code=0 if result["status"] == "completed" else 1)
    except Exception as error:  # wandb raises many types; the run folder has it all
        log.warning(f"W&B did not take the result ({error}); {folder.path} has it.")


def has_wandb_run(folder: Path) -> bool:
    """Whether a run's folder has a W&B run."""
    return _earlier_id(folder) is not None


def add_to_run(
    folder: Path, saved: dict[str, Any], summary: dict[str, Any], pictures: dict[str, Path]
) -> str | None:
    """Add to the summary and the pictures of the W&B run that a finished run's folder has.

    `saved` is the run's config.yaml. Returns where it is now: an address, or what to type to upload it; None
    where W&B did not take it, which is told, and no more. Raises `UserError` where wandb is not installed.
    """
    run = RunFolder(folder)
    config = read_saved(saved["logger"], LoggerConfig, folder / "config.yaml")
    logger = build_wandb_logger(config, run, saved, run.read_overrides())
    import wandb

    try:
        where = upload_command(logger)
        for key, picture in pictures.items():
            logger.log_image(key, [str(picture)])
        logger.experiment.summary.update(summary)
        where = f"offline; to upload: {where}" if where else str(logger.experiment.url)
        wandb.finish(exit_code=0 if status(folder) == "completed" else 1)
    except Exception as error:  # wandb raises many types; the folder has it all
        log.warning(f"W&B did not take the results ({error}).")
        return None
    return where


def _earlier_id(folder: Path) -> str | None:
    """The id of the W&B run that a run folder has; None where it has none."""
    parts = sorted(folder.glob("wandb/*run-*-*/run-*.wandb"), key=lambda part: part.stat().st_mtime)
    return parts[-1].stem.removeprefix("run-") if parts else None


def _run_id(name: str) -> str:
    """An id that no other run has: jobs of two sweeps may have the same name."""
    allowed = re.sub(r"[^-.\w]+", "-", name)
    return f"{allowed[:80]}-{token_hex(4)}"


def _tags(overrides: list[str]) -> list[str]:
    """What differs from the defaults, without paths and places; a tag has at most 64 characters."""
    keys = ("model", "optimizer", "scheduler", "experiment", "data=", "data.augment")
    typed = [item for item in overrides if item.lstrip("+").startswith(keys)]
    factors = [setting for item in typed for setting in _set_by_experiment(item)]
    return list(dict.fromkeys(tag[:64] for tag in (*typed, *factors)))


def _set_by_experiment(override: str) -> list[str]:
    """experiment=no_lrn sets model.lrn=false; nothing for any other override."""
    key, _, name = override.partition("=")
    file = CONF / "experiment" / f"{name}.yaml"
    if key != "experiment" or not file.is_file():
        return []
    settings = flatten(yaml.safe_load(file.read_text(encoding="utf-8")) or {})
    return [
        f"{key}={json.dumps(value) if not isinstance(value, str) else value}"
        for key, value in settings.items()
        if not is_under(key, ("defaults", "claim"))
    ]


def wants_online(mode: WandbMode) -> bool:
    """Whether to try the server. `auto` finds out whether there is a key, without sending it anywhere."""
    import wandb

    if mode is not WandbMode.auto:
        return mode is WandbMode.online
    if "WANDB_MODE" in os.environ:
        return os.environ["WANDB_MODE"] in ("online", "run")
    return wandb.login(prompt=False, verify=False)


def track_later_results(run: Path, summary: dict[str, Any], pictures: dict[str, Path]) -> None:
    """Add to summary and pictures of the W&B run that a run's folder has, if it has one, and say where."""
    if not has_wandb_run(run) or os.environ.get("WANDB_MODE") == "disabled":
        return
    if is_running(run):
        console.print("W&B       not told: this run is being trained", style="yellow")
        return
    try:
        where = add_to_run(run, read_run_config(run), summary, pictures)
    except UserError as error:  # wandb is not installed: the folder has it all
        where = str(error)
    if where:
        console.print(f"W&B       {where}", markup=False)
