"""Weights & Biases, during a run and for later results: online where a user is logged in, else offline.

Imports neither torch nor Lightning: comparisons, which are tracked too, do not wait for them.
"""

import json
import logging
import os
import re
import shlex
from pathlib import Path
from secrets import token_hex
from typing import Any

import yaml

from alexnet.config import LoggerConfig, WandbConfig, WandbMode
from alexnet.config.hashing import flatten, is_under
from alexnet.config.reading import read_saved
from alexnet.errors import UserError, first_line
from alexnet.paths import CONF
from alexnet.runs.folder import RunFolder
from alexnet.runs.resume import is_running, read_run_config, status
from alexnet.terminal import console

INIT_SECONDS = 12  # to wait for the server before the run continues offline
FINISH_SECONDS = 60  # to wait for the last uploads

log = logging.getLogger(__name__)


def start_training_run(
    config: WandbConfig, folder: RunFolder, run_config: dict[str, Any], overrides: list[str]
) -> Any:
    """Start a W&B run that mirrors the run folder, or resume that of the folder. Never prompts.

    Its tags are the overrides of the network, the data and the recipe, and the keys that an experiment sets.
    If the server cannot be reached, the run is kept offline, in the run folder. Raises `UserError` if wandb
    is not installed.
    """
    run = start_run(
        folder.path,
        project=config.project,
        entity=config.entity,
        name=config.name or folder.path.name,
        group=config.group,
        job_type=config.job_type,
        tags=[*config.tags, *_tags(overrides)],
        config=run_config,
        mode=config.mode,
    )
    run.define_metric("trainer/global_step")
    run.define_metric("*", step_metric="trainer/global_step", step_sync=True)  # as Lightning does
    return run


def start_run(
    folder: Path,
    *,
    project: str,
    entity: str | None,
    name: str,
    group: str | None,
    job_type: str | None,
    tags: list[str],
    config: dict[str, Any],
    mode: WandbMode,
    notes: str | None = None,
) -> Any:
    """Start a W&B run whose files are in `folder`, or resume the one that has its files there.

    It is kept offline where nobody is logged in, or the server cannot be reached. Raises `UserError` if
    wandb is not installed.
    """
    try:
        import wandb
    except ImportError as error:
        raise UserError("logger=wandb needs the package wandb. Install it, or use logger=csv.") from error

    os.environ.setdefault("WANDB_SILENT", "true")
    earlier = _earlier_id(folder)

    def start(offline: bool) -> Any:
        return wandb.init(
            project=project,
            entity=entity,
            name=name,
            id=earlier or _run_id(name),
            resume="allow" if earlier and not offline else None,
            dir=folder,
            group=group,
            job_type=job_type,
            tags=tags,
            notes=notes,
            config=config,
            mode="offline" if offline else "online",
            settings=wandb.Settings(
                silent=True, console="off", init_timeout=INIT_SECONDS, finish_timeout=FINISH_SECONDS
            ),
        )

    if not wants_online(mode):
        return start(offline=True)
    try:
        return start(offline=False)
    except Exception as error:  # wandb raises many types, and none should end a run
        log.warning(f"W&B cannot be reached ({first_line(error)}). This run is kept offline.")
        wandb.teardown()
        return start(offline=True)


def sync_command(run: Any) -> str | None:
    """Return the command that uploads an offline run; None for an online run."""
    if not run.offline:
        return None
    start = Path(run.dir).parent  # each start of the run has a folder
    starts = sorted(start.parent.glob(f"offline-run-*-{run.id}"))
    if len(starts) == 1:
        return f"wandb sync {shlex.quote(str(start))}"
    return f"wandb sync {shlex.quote(str(start.parent))}/offline-run-*"


def finish(run: Any, folder: RunFolder, result: dict[str, Any], *, log_checkpoint: bool) -> None:
    """Finish the W&B run with the figures, the result and, if asked for, the weights of the best epoch.

    Errors of W&B become a warning.
    """
    import wandb

    try:
        _log_figures(run, {figure.stem: figure for figure in sorted(folder.figures.glob("*.png"))})
        run.summary["result"] = result
        best = folder.checkpoints / "best.ckpt"
        if log_checkpoint and best.is_file():
            run.log_artifact(best, name=f"model-{run.id}", type="model")
        if result["status"] == "interrupted":
            run.mark_preempting()  # it may be resumed
        wandb.finish(exit_code=0 if result["status"] == "completed" else 1)
    except Exception as error:  # wandb raises many types; the run folder holds everything
        log.warning(f"W&B could not store the result ({error}); it is in {folder.path}.")


def track_later_results(folder: Path, summary: dict[str, Any], figures: dict[str, Path]) -> None:
    """Add to the summary and figures of a run's W&B run, if it has one, and print its address."""
    if _earlier_id(folder) is None or os.environ.get("WANDB_MODE") == "disabled":
        return
    if is_running(folder):
        console.print("W&B       not updated: the run is still being trained", style="yellow")
        return
    try:
        where = _add_to_run(folder, summary, figures)
    except UserError as error:  # wandb is not installed; the folder holds the results
        where = str(error)
    if where:
        console.print(f"W&B       {where}", markup=False)


def _add_to_run(folder: Path, summary: dict[str, Any], figures: dict[str, Path]) -> str | None:
    """Return the run's address, or how to upload it; None, with a warning, if W&B raised an error.

    Raises `UserError` if wandb is not installed.
    """
    saved, run_folder = read_run_config(folder), RunFolder(folder)
    config = read_saved(saved["logger"], LoggerConfig, folder / "config.yaml")
    assert isinstance(config, WandbConfig)  # the run has an id
    run = start_training_run(config, run_folder, saved, run_folder.read_overrides())
    import wandb

    try:
        upload = sync_command(run)
        _log_figures(run, figures)
        run.summary.update(summary)
        where = f"offline; to upload: {upload}" if upload else str(run.url)
        wandb.finish(exit_code=0 if status(folder) == "completed" else 1)
    except Exception as error:  # wandb raises many types; the folder holds the results
        log.warning(f"W&B could not store the results ({error}).")
        return None
    return where


def _log_figures(run: Any, figures: dict[str, Path]) -> None:
    import wandb

    for key, figure in figures.items():
        run.log({key: [wandb.Image(str(figure))]})


def wants_online(mode: WandbMode) -> bool:
    """Return whether to contact the server. `auto` looks for an API key, without sending it anywhere."""
    import wandb

    if mode is not WandbMode.auto:
        return mode is WandbMode.online
    if "WANDB_MODE" in os.environ:
        return os.environ["WANDB_MODE"] in ("online", "run")
    return wandb.login(prompt=False, verify=False)


def _earlier_id(folder: Path) -> str | None:
    """Return the id of a run folder's W&B run; None if it has none."""
    parts = sorted(folder.glob("wandb/*run-*-*/run-*.wandb"), key=lambda part: part.stat().st_mtime)
    return parts[-1].stem.removeprefix("run-") if parts else None


def _run_id(name: str) -> str:
    """Return a unique id: jobs of two sweeps may have the same name."""
    allowed = re.sub(r"[^-.\w]+", "-", name)
    return f"{allowed[:80]}-{token_hex(4)}"


def _tags(overrides: list[str]) -> list[str]:
    """Return the differences from the defaults, without paths. A tag has at most 64 characters."""
    keys = ("model", "optimizer", "scheduler", "experiment", "data=", "data.augment")
    typed = [item for item in overrides if item.lstrip("+").startswith(keys)]
    factors = [setting for item in typed for setting in _set_by_experiment(item)]
    return list(dict.fromkeys(tag[:64] for tag in (*typed, *factors)))


def _set_by_experiment(override: str) -> list[str]:
    """Return what an experiment sets, such as model.lrn=false for experiment=no_lrn, or []."""
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
