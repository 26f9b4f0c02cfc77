"""Resuming a run: which one, whether that is possible, and with what configuration."""

import json
import os
from pathlib import Path
from typing import Any

import yaml
from filelock import FileLock, Timeout

from alexnet.config.extensions import require_extensions
from alexnet.config.hashing import config_hash, flatten, is_under, nest
from alexnet.config.registry import choice_keys
from alexnet.config.renamed import migrate
from alexnet.errors import UserError
from alexnet.files import parse_yaml, read_csv_columns
from alexnet.paths import absolute
from alexnet.ranks import process_rank

AUTO = "auto"
LOCK = ".running"  # in a run's folder, held by the process that trains the run
# what ends a run before trainer.max_epochs, where they are set
ENDING_KEYS = ("callbacks.train_eval.stop_below", "callbacks.early_stopping.patience")
FROM_FIRST_RANK = "ALEXNET_RESUMED"  # the first process's choice, for the processes that it starts

# what may change when a run is resumed: where and how long it runs, and how it is monitored
CHANGEABLE = (
    *("trainer.max_epochs", "trainer.max_time", "trainer.accelerator", "trainer.devices"),
    *("trainer.num_nodes", "trainer.log_every_n_steps", "trainer.rendezvous_timeout"),
    *("strategy", "logger", "callbacks"),
    *("data.root", "data.pack", "data.cache", "data.workers", "data.in_memory", "data.resident"),
    *("data.max_unreadable", "extensions"),
)


def previous_run(config: dict[str, Any]) -> Path | None:
    """Return the folder of the run to resume, as selected by resume=; None for a new run.

    With auto it is `run_folder`, if that is given and exists, or else the newest unfinished run of the same
    configuration. A job requeued by Slurm defaults to auto. Raises `UserError` if `run_folder` holds no such
    run.
    """
    wanted = config["resume"]
    if wanted is None and int(os.environ.get("SLURM_RESTART_COUNT", 0)) > 0:
        wanted = AUTO
    if wanted is None:
        return None
    if wanted != AUTO:
        folder = absolute(wanted)
        if config["run_folder"] is not None:
            raise UserError(f"resume={wanted}: a run is resumed in its own folder. Leave run_folder out.")
        return folder
    if process_rank() > 0 and FROM_FIRST_RANK in os.environ:
        decided = os.environ[FROM_FIRST_RANK]
        return Path(decided) if decided else None
    unfinished = _unfinished_run(config)
    os.environ[FROM_FIRST_RANK] = str(unfinished or "")
    return unfinished


def _unfinished_run(config: dict[str, Any]) -> Path | None:
    own_hash = config_hash(config)
    if config["run_folder"] is not None:
        folder = absolute(config["run_folder"])
        if not folder.exists():
            return None
        if not is_unfinished(folder, own_hash) and not is_empty_run(folder):
            raise UserError(
                f"run_folder={folder}: contains no unfinished run of this configuration. Choose another one,"
                " or move it away."
            )
        return folder
    runs = absolute(config["outputs"]) / "runs"
    folders = sorted(runs.glob(f"*_{own_hash}*"), reverse=True)  # the names begin with the time
    unfinished = (folder for folder in folders if is_unfinished(folder, own_hash))
    return next((folder for folder in unfinished if process_rank() > 0 or not is_running(folder)), None)


def is_unfinished(folder: Path, config_hash_: str) -> bool:
    """Return whether a folder holds a run of this configuration that was interrupted or killed."""
    if status(folder) not in (None, "interrupted"):  # before config.yaml, which takes longer to read
        return False
    try:
        return config_hash(read_run_config(folder)) == config_hash_
    except UserError:
        return False


def is_empty_run(folder: Path) -> bool:
    """Return whether a folder holds no run yet, as when one was killed before it wrote config.yaml."""
    begun = ("checkpoints", "figures", "train.log")
    try:
        names = [path.name for path in (*folder.iterdir(), *folder.glob("checkpoints/*"))]
    except OSError:
        return False
    return all(name in begun or name.startswith(".") for name in names)


def is_running(folder: Path) -> bool:
    """Return whether a process is training the run in this folder."""
    try:
        with FileLock(folder / LOCK, timeout=0):
            return False
    except Timeout:
        return True


def status(folder: Path) -> str | None:
    """Return the status in a run's result.json; None without that file, as for a run that was killed."""
    try:
        return json.loads((folder / "result.json").read_text(encoding="utf-8")).get("status")
    except (OSError, ValueError, AttributeError):
        return None


def read_run_config(folder: Path) -> dict[str, Any]:
    """Return a run's config.yaml with current names. Raises `UserError` if the folder holds no run."""
    try:
        text = (folder / "config.yaml").read_text(encoding="utf-8")
        content = parse_yaml(text)
        json.dumps(content)  # no run writes values such as dates
    except OSError as error:
        raise UserError(f"{folder} is not a run folder: config.yaml in it: {error.strerror}.") from None
    except (yaml.YAMLError, ValueError, TypeError, RecursionError):
        raise damaged_config(folder) from None
    if not isinstance(content, dict):
        raise damaged_config(folder)
    return migrate(content)


def damaged_config(folder: Path, why: str = "") -> UserError:
    """Return the error for a config.yaml that no run can have written."""
    return UserError(f"{folder / 'config.yaml'} is damaged{f': {why}' if why else '.'}")


def merge_resume_config(folder: Path, composed: dict[str, Any], typed: list[str]) -> dict[str, Any]:
    """Return the configuration for resuming the run in `folder`: its own, with the `typed` overrides.

    `composed` is the configuration of the command line alone. Raises `UserError` for an override that would
    change the run's results, and for a completed run that is not to be trained longer.
    """
    if composed["resume"] in (None, AUTO) and is_empty_run(folder):
        return composed
    saved = read_run_config(folder)
    require_extensions(saved.get("extensions"), folder)
    same = config_hash(saved) == config_hash(composed)
    if same and composed["resume"] in (None, AUTO):
        return composed
    before, now = flatten(saved), flatten(composed)
    # the run may be older than some of these keys
    changeable = {leaf: value for leaf, value in now.items() if is_under(leaf, CHANGEABLE)}
    changed = tuple(group for group, key in choice_keys().items() if before.get(key) != now.get(key))
    config = {leaf: value for leaf, value in changeable.items() if not is_under(leaf, changed)} | before
    for key in (override.partition("=")[0].lstrip("+~").replace("/", ".") for override in typed):
        under = [leaf for leaf in now if is_under(leaf, (key,)) and key != "resume"]
        refused = [leaf for leaf in under if now[leaf] != before.get(leaf) and not is_under(leaf, CHANGEABLE)]
        if refused or not (under or same or key == "resume"):
            what = f"{refused[0]} is {before.get(refused[0])}" if refused else f"{key} is fixed"
            raise UserError(
                f"resume={folder}: {what} in this run and cannot be changed."
                f" Only these may change: {', '.join(CHANGEABLE)}. For anything else, start a new run."
            )
        if isinstance(composed.get(key), dict):  # a group: another choice may have other keys
            config = {leaf: value for leaf, value in config.items() if not is_under(leaf, (key,))}
        config |= {leaf: now[leaf] for leaf in under}
    if extensions := [*saved.get("extensions", []), *composed.get("extensions", [])]:
        config["extensions"] = list(dict.fromkeys(extensions))
    epochs, wanted = before.get("trainer.max_epochs"), config["trainer.max_epochs"]
    if not isinstance(epochs, int) or not isinstance(wanted, int):
        raise damaged_config(folder, "trainer.max_epochs is not a number.")
    if wanted < (done := _epochs_done(folder)):
        raise UserError(
            f"resume={folder}: trainer.max_epochs={wanted}, but this run has been trained for {done} epochs."
        )
    ending = {key: value for key in ENDING_KEYS if (value := config.get(key)) is not None}
    if status(folder) == "completed" and 0 < done < wanted <= epochs:
        if all(before.get(key) == value for key, value in ending.items()) and ending:
            keys = " or ".join(f"{key}={value}" for key, value in ending.items())
            raise UserError(
                f"{folder} ended after {done} of its {epochs} epochs, by {keys}. To continue, change that."
            )
    elif status(folder) == "completed" and wanted <= epochs:
        raise UserError(
            f"{folder} has already been trained for all {epochs} epochs."
            f" For more: trainer.max_epochs={2 * epochs}."
        )
    return nest(config)


def _epochs_done(folder: Path) -> int:
    """Return the number of epochs in a run's metrics.csv; 0 for one that is missing or damaged."""
    try:
        return int(max(read_csv_columns(folder / "metrics.csv")["epoch"], default=0))
    except (OSError, ValueError, KeyError):
        return 0
