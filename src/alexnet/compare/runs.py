"""Reading of run folders: what a comparison needs of a run, or why a run does not count."""

import hashlib
import json
import re
from dataclasses import dataclass, fields, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

from alexnet.compare.model_diffs import NAME_KEY
from alexnet.config import ClaimConfig
from alexnet.config.hashing import NON_FACTOR_KEYS, flatten, is_under
from alexnet.config.renamed import migrate
from alexnet.errors import UserError, first_line
from alexnet.files import parse_yaml, read_csv_columns
from alexnet.runs.load import Load
from alexnet.runs.resume import ENDING_KEYS
from alexnet.studies.start import chance_error, has_started

# keys of the data that only training uses: classical.py reads them as well, and ignores them
TRAINING_ONLY_KEYS = tuple(f"data.{key}" for key in ("batch_size", "mean", "val_crops", "augment"))

NOISE_FREE_ERROR = "train_eval/top1_error"  # of all training images, by callbacks.train_eval
NO_CLAIM = ClaimConfig(text="", section="")


@dataclass(frozen=True)
class Code:
    """The code of a run: git commit, and a hash of what src/ had beyond it, empty for nothing."""

    commit: str | None
    changes: str

    @classmethod
    def read(cls, git: dict[str, Any]) -> "Code":
        """Read `git` of an environment.json."""
        parts = re.split(r"^(?=diff --git )", git.get("diff") or "", flags=re.MULTILINE)
        changed = [part for part in parts if part.startswith("diff --git a/src/")]
        added = [name for name in git.get("untracked") or [] if name.startswith("src/")]
        changes = "".join(changed) + "\n".join(added)
        return cls(git.get("commit"), changes and hashlib.sha256(changes.encode()).hexdigest()[:16])

    def __str__(self) -> str:
        return f"{(self.commit or 'unknown')[:10]}{' with changes in src' if self.changes else ''}"


@dataclass(frozen=True)
class Tracked:
    """A run in W&B. `entity` is None for the user's own; `uploaded` is False for a run that is offline."""

    project: str
    entity: str | None
    id: str
    uploaded: bool
    group: str | None = None

    @classmethod
    def read(cls, config: dict[str, Any], run: Path) -> "Tracked | None":
        """Read config.yaml and the run's wandb folder; None for a run without W&B."""
        folders = sorted((run / "wandb").glob("*run-*-*"))  # run-<date>_<time>-<id>, offline-run-...
        logger = config.get("logger") or {}
        if not folders or "project" not in logger:
            return None
        newest = folders[-1]
        uploaded = newest.name.startswith("run-") or any(newest.glob("*.synced"))
        name = newest.name.split("run-", 1)[1].split("-", 1)[1]
        return cls(logger["project"], logger.get("entity"), name, uploaded, logger.get("group"))


@dataclass(frozen=True)
class CropErrors:
    """Errors that evaluate.py has measured with the centre crop and with ten, in percent."""

    center_top1: float
    ten_top1: float
    center_top5: float | None
    ten_top5: float | None

    @classmethod
    def read(cls, run: Path, val_samples: int | None) -> "CropErrors | None":
        """Read <run>/evaluation; None without one of both kinds of crops on all of the run's own images."""
        file = run / "evaluation/evaluation.json"
        if not file.is_file():
            return None
        figures = json.loads(file.read_text(encoding="utf-8"))["figures"]
        center, ten = figures.get("center"), figures.get("ten")
        if not center or not ten or center["samples"] != val_samples:
            return None
        return cls(
            *(float(errors["top1_error"]) for errors in (center, ten)),
            *(errors.get("top5_error") for errors in (center, ten)),
        )


@dataclass(frozen=True)
class Run:
    """A completed run. Errors are percentages, of validation after the last epoch.

    `settings` is the resolved configuration with dotted keys, without what cannot be a factor.
    """

    path: Path
    seed: int
    settings: dict[str, Any]
    claim: ClaimConfig
    baseline: str | None  # the arm to compare with, in runs of studies without a record
    top1_error: float
    top5_error: float | None
    other_metrics: dict[str, float]  # by name, of the last epoch: val/loss, ...
    crop_errors: CropErrors | None
    classes: int | None
    val_samples: int | None  # images on which the errors were measured
    metrics: dict[str, list[float]]
    epochs: int | None  # None if it does not learn in epochs
    data_root: str | None  # folder of the images, where the run read them
    data_fingerprint: str
    config_hash: str | None  # of all that determines its result
    code: Code
    hardware: str
    torch: str | None
    parameters: int | None
    images_per_second: float | None  # of steady steps
    startup_seconds: float | None  # compiling and the first steps; None: they are in images_per_second
    load: Load | None  # of the machine, as far as it is known
    wall_seconds: float | None
    peak_memory_mb: float | None
    precision: str | None
    tracked: Tracked | None

    @property
    def network(self) -> str:
        """The name of its model, or of its hand-made features."""
        return str(self.settings.get(NAME_KEY, "unknown"))

    @property
    def started(self) -> bool:
        """Whether its error is clearly below that at chance."""
        return has_started(self.top1_error, self.classes, self.val_samples)

    @property
    def may_end_early(self) -> bool:
        """Whether it ends before trainer.max_epochs once it has learned enough, or learns no more."""
        return any(self.settings.get(key) is not None for key in ENDING_KEYS)

    def epochs_to(self, training_error: float) -> float | None:
        """Return the epochs until the top-1 error in training is at most this, in percent; None: never.

        Without noise, where the run measured it, interpolated from the epoch before, and from chance at 0;
        else the first epoch whose running average is as low.
        """
        if self.epochs is None:
            return None
        if any(exact := self.metrics.get(NOISE_FREE_ERROR, [])):
            errors = [100.0 if self.classes is None else chance_error(self.classes), *exact]
            for epoch, (before, after) in enumerate(pairwise(errors)):
                if after <= training_error:
                    return epoch + max(0.0, (before - training_error) / ((before - after) or 1))
            return None
        rows = zip(self.metrics.get("epoch", []), self.metrics.get("train/top1_error", []), strict=False)
        return next((epoch for epoch, error in rows if error <= training_error), None)


@dataclass(frozen=True)
class ExcludedRun:
    """A run, or a whole arm, that does not count, and why."""

    name: str
    reason: str
    diverged: bool = False  # it was run to its end, which is that it did not start to learn
    settings: dict[str, Any] | None = None  # as a `Run`'s, of one that diverged


def _other_metrics(result: dict[str, Any]) -> dict[str, float]:
    """Return all metrics of a result but the validation errors: losses, and what extensions have added."""
    splits = {name: result.get(name) or {} for name in ("train", "val")}
    metrics = {f"{name}/{key}": value for name, split in splits.items() for key, value in split.items()}
    metrics |= result.get("logged") or {}
    known = ("train/samples", "val/samples", "val/top1_error", "val/top5_error")
    return {name: float(value) for name, value in metrics.items() if name not in known and value is not None}


def read_claim(content: Any, file: Path) -> ClaimConfig:
    """Read `claim` of a configuration file; without one, nothing is claimed. Raises `UserError`."""
    if not isinstance(content, dict | None):
        raise UserError(f"{file}: claim={content}: expected a mapping.")
    given = {key: value for key, value in (content or {}).items() if value is not None}
    known = {field.name: given[field.name] for field in fields(ClaimConfig) if field.name in given}
    for key, value in known.items():
        number = key.endswith(("top1", "top5", "ratio"))
        if number and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise UserError(f"{file}: claim.{key}={value}: expected percentage points.")
        if key == "higher" and not isinstance(value, bool):
            raise UserError(f"{file}: claim.{key}={value}: expected true or false.")
        if number:
            known[key] = float(value)
        elif key != "higher":
            known[key] = str(value).strip().removeprefix("§")
    return replace(NO_CLAIM, **known)


def read_run(path: Path, name: str) -> Run | ExcludedRun:
    """Read a run folder; a run that is not complete, or cannot be read, is excluded under `name`."""
    try:
        if not (path / "config.yaml").is_file():
            return ExcludedRun(name, "no config.yaml: it never started")
        if not (path / "result.json").is_file():
            return ExcludedRun(name, "no result.json: it is still running, or was killed")
        result = json.loads((path / "result.json").read_text(encoding="utf-8"))
        if result.get("status") != "completed":
            error = first_line(str(result.get("error") or "no reason given"))
            diverged = result.get("diverged") is True
            settings = _settings(migrate(_saved_config(path))) if diverged else None
            return ExcludedRun(name, f"{result.get('status')}: {error}", diverged, settings)
        if (result.get("val") or {}).get("top1_error") is None:
            return ExcludedRun(name, "no validation error")
        return _run(path, result)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, yaml.YAMLError) as error:
        reason = f"{type(error).__name__}: {first_line(str(error))}"
        return ExcludedRun(name, f"its files cannot be read ({reason})")


def _saved_config(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = parse_yaml((path / "config.yaml").read_text(encoding="utf-8"))
    return content


def _settings(config: dict[str, Any]) -> dict[str, Any]:
    """Return a resolved configuration with dotted keys, without what cannot be a factor."""
    no_factor = NON_FACTOR_KEYS if "trainer" in config else (*NON_FACTOR_KEYS, *TRAINING_ONLY_KEYS)
    return {key: value for key, value in flatten(config).items() if not is_under(key, no_factor)}


def _run(path: Path, result: dict[str, Any]) -> Run:
    saved = _saved_config(path)
    config = migrate(saved)
    environment: dict[str, Any] = {}
    if (path / "environment.json").is_file():
        environment = json.loads((path / "environment.json").read_text(encoding="utf-8"))
    metrics = path / "metrics.csv"
    cpu = (environment.get("cpu") or {}).get("model")
    return Run(
        path=path,
        seed=int(config["seed"]),
        settings=_settings(config),
        claim=read_claim(config.get("claim"), path / "config.yaml"),
        baseline=saved.get("baseline"),
        top1_error=float(result["val"]["top1_error"]),
        top5_error=result["val"].get("top5_error"),
        other_metrics=_other_metrics(result),
        crop_errors=CropErrors.read(path, result["val"].get("samples")),
        classes=result.get("classes"),
        val_samples=result["val"].get("samples"),
        metrics=read_csv_columns(metrics) if metrics.is_file() else {},
        epochs=None if result["epochs"] is None else int(result["epochs"]),
        data_root=(config.get("data") or {}).get("root"),
        data_fingerprint=str(result["data_fingerprint"]),
        config_hash=result.get("config_hash"),
        code=Code.read(environment.get("git") or {}),
        hardware=", ".join(environment.get("gpus") or []) or str(cpu or "unknown"),
        torch=(environment.get("packages") or {}).get("torch"),
        parameters=result.get("parameters"),
        images_per_second=result.get("images_per_second"),
        startup_seconds=result.get("startup_seconds"),
        load=Load.read(result.get("load")),
        wall_seconds=result.get("wall_seconds"),
        peak_memory_mb=result.get("peak_memory_mb"),
        precision=result.get("precision"),
        tracked=Tracked.read(config, path),
    )
