"""Run folders that no training made: errors are what a test says they are."""

import csv
import json
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import yaml

from alexnet.config.arguments import quote_value
from alexnet.config.study import Design
from alexnet.studies.design import arm_name
from alexnet.studies.record import StudyRecord

EPOCHS = 10
CONFIG: dict[str, Any] = {
    "seed": 0,
    "outputs": "/data/outputs",
    "run_folder": None,
    "model": {
        "name": "alexnet",
        "lrn": True,
        "dropout": 0.5,
        "activation": "relu",
        "pooling": "overlapping",
        "filters": [96, 256, 384, 384, 256],
    },
    "data": {"name": "imagenette", "root": "/data/imagenette", "workers": None, "augment": {"crop": True}},
    "optimizer": {"lr": 0.01},
    "trainer": {"max_epochs": EPOCHS, "precision": "auto"},
    "logger": {"kind": "csv", "group": None},
}
DIFF = "diff --git a/src/alexnet/model/lrn.py b/src/alexnet/model/lrn.py\n+changed\n"


def write_run(
    folder: Path,
    top1: float,
    *,
    seed: int = 0,
    settings: dict[str, Any] | None = None,
    claim: dict[str, Any] | None = None,
    top5: float | None = None,
    speed: float = 800.0,
    status: str = "completed",
    error: str | None = None,
    git: dict[str, Any] | None = None,
    overrides: list[str] | None = None,
    **result: Any,
) -> Path:
    """Write one run's folder. `settings` has dotted keys; errors are percentages."""
    config = json.loads(json.dumps(CONFIG)) | {"seed": seed, "run_folder": str(folder)}
    for key, value in (settings or {}).items():
        *parents, last = key.split(".")
        node = config
        for parent in parents:
            node = node[parent]
        node[last] = value
    if claim is not None:
        config["claim"] = claim
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    (folder / "overrides.yaml").write_text(yaml.safe_dump(overrides or []))
    environment = {
        "git": {"commit": "a" * 40, "diff": "", "untracked": []} | (git or {}),
        "packages": {"torch": "2.11.0"},
        "cpu": {"model": "Some CPU"},
        "gpus": [],
    }
    (folder / "environment.json").write_text(json.dumps(environment))
    val = {"loss": 1.0, "top1_error": top1, "samples": 3925} | ({} if top5 is None else {"top5_error": top5})
    (folder / "result.json").write_text(
        json.dumps(
            {
                "seed": seed,
                "epochs": EPOCHS,
                "classes": 10,
                "parameters": 3_661_162,
                "val": val,
                "data_fingerprint": "a9c6ab6dabc42b51",
                "precision": "bf16-mixed",
                "images_per_second": speed,
                "wall_seconds": 60_000 / speed,
                "status": status,
                "error": error,
            }
            | result
        )
    )
    _write_metrics(folder / "metrics.csv", top1, top5)
    return folder


def write_hand_made(
    folder: Path, top1: float, *, name: str = "hog_and_color", seed: int = 0, **result: Any
) -> Path:
    """Write a run of classical.py: no training, no epochs, one row of metrics."""
    numbers: dict[str, Any] = {"top5": top1 / 8, "epochs": None, "precision": "32-true", "parameters": 86_130}
    write_run(folder, top1, seed=seed, settings={"model": {"name": name}}, **(numbers | result))
    config = yaml.safe_load((folder / "config.yaml").read_text())
    for key in ("optimizer", "trainer", "logger"):
        del config[key]
    config["data"]["augment"]["crop"] = "whatever"  # classical.py does not use it
    config["classical"] = {"features": name, "alpha": 1e-4, "max_iterations": 200}
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    (folder / "metrics.csv").write_text(f"epoch,train/top1_error,val/top1_error\n1,10,{top1}\n")
    return folder


def _write_metrics(path: Path, top1: float, top5: float | None) -> None:
    """Write errors that fall from chance to the last epoch's; training errs 5 points more than validation."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["epoch", "train/top1_error", "val/top1_error", "val/top5_error"])
        for epoch in range(1, EPOCHS + 1):
            left = 0.6**epoch - 0.6**EPOCHS
            row = [epoch, top1 + 5 + (85 - top1) * left, top1 + (90 - top1) * left]
            writer.writerow([*row, "" if top5 is None else top5 + (50 - top5) * left])


def write_study(folder: Path, arms: dict[str, tuple[dict[str, Any], list[float]]], **common: Any) -> Path:
    """Write a study: for each arm its settings and one top-1 error a seed."""
    for arm, (settings, errors) in arms.items():
        for seed, top1 in enumerate(errors):
            top5 = common.get("top5", top1 / 8)
            run = folder / arm / f"seed={seed}"
            write_run(run, top1, seed=seed, settings=settings, **(common | {"top5": top5}))
    return folder


# factors of a fabricated factorial: what each sets
FACTORS: dict[str, dict[str, Any]] = {
    "no_lrn": {"model.lrn": False},
    "no_dropout": {"model.dropout": 0.0},
    "tanh": {"model.activation": "tanh"},
    "non_overlapping_pooling": {"model.pooling": "non_overlapping"},
    "no_crops_and_flips": {"data.augment": {"crop": False}},
    "high_rate": {"optimizer.lr": 0.02},
}


def full_factorial(factors: Sequence[str]) -> list[list[str]]:
    """Return the factors that each cell changes: none, then the first, ..., in standard order."""
    levels = product((False, True), repeat=len(factors))
    return [[name for name, on in zip(factors, reversed(cell), strict=True) if on] for cell in levels]


def half_fraction(factors: Sequence[str]) -> list[list[str]]:
    """Return the cells of the half with the generator last = product of the others, as -1 and +1."""
    return [cell for cell in full_factorial(factors) if len(cell) % 2 == 0]


def write_factorial(
    folder: Path,
    cells: Sequence[Sequence[str]],
    errors: Mapping[str, Sequence[float]],
    factors: Sequence[str],
    *,
    design: Design = Design.factorial,
    claims: Mapping[str, dict[str, Any]] | None = None,
    first_seed: int = 0,
    **record: Any,
) -> Path:
    """Write a factorial with its record: for each cell, by its name, one top-1 error a seed."""
    arms = {arm_name(cell, "baseline"): list(cell) for cell in cells}
    for arm, changed in arms.items():
        settings = {key: value for factor in changed for key, value in FACTORS[factor].items()}
        for seed, top1 in enumerate(errors[arm], first_seed):
            claim = (claims or {}).get(arm)
            write_run(
                folder / arm / f"seed={seed}", top1, seed=seed, settings=settings, claim=claim, top5=top1 / 8
            )
    seeds = {arm: list(range(first_seed, first_seed + len(errors[arm]))) for arm in arms}
    given: dict[str, Any] = {"name": folder.name, "title": "A factorial", "baseline": "baseline"} | record
    StudyRecord(design=design, factors=list(factors), arms=arms, seeds=seeds, **given).write(folder)
    return folder


Job = tuple[
    list[str], dict[str, Any], float
]  # what it sets beyond the command, its settings, its top-1 error


def write_sweep(folder: Path, command: list[str], jobs: list[Job]) -> Path:
    """Write a sweep in the folders that train.py gives to its jobs.

    Beside them what Hydra leaves, multirun.yaml: the command, and the configuration without what is swept.
    """
    common = [override for override in command if "," not in override]
    for sets, settings, top1 in jobs:
        seed = next((int(item.partition("=")[2]) for item in sets if item.startswith("seed=")), 0)
        run = folder / (",".join(sets).replace("/", "_") or "run")
        typed = [*common, *sets, f"run_folder={quote_value(str(run))}", "resume=auto"]
        write_run(run, top1, seed=seed, settings=settings, overrides=typed, top5=top1 / 8)
    multirun = CONFIG | {"hydra": {"overrides": {"task": command}}}
    (folder / "multirun.yaml").write_text(yaml.safe_dump(multirun))
    return folder
