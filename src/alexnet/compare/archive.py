"""The results of a study in few files, from which its report can be made again without the runs' folders.

results.csv has a row for each run, curves.csv one for each epoch of each run, and results.json what the runs
of an arm share: settings, claims, the study's record, the runs that do not count, and how they were compared.
No folder of the machine is in them.
"""

import csv
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from math import isnan
from pathlib import Path
from typing import Any

from alexnet.compare.arms import Arms
from alexnet.compare.runs import Code, CropErrors, ExcludedRun, Run
from alexnet.config import ClaimConfig, ComparabilityKey, CompareConfig
from alexnet.config.hashing import PLACE_KEYS, is_under
from alexnet.errors import UserError
from alexnet.files import write_csv, write_text
from alexnet.runs.load import Load
from alexnet.studies.record import ARCHIVE, StudyRecord, parse_record, to_content

VERSION = 1
RUNS, CURVES = "results.csv", "curves.csv"
CROPS = (
    "center_top1",
    "ten_top1",
    "center_top5",
    "ten_top5",
)  # columns of runs that evaluate.py has evaluated
METRIC = "last:"  # prefix of the columns of results.csv that hold other metrics of the last epoch

WHOLE = ("classes", "val_samples", "epochs", "parameters")
REAL = (
    *("top1_error", "top5_error", "images_per_second", "startup_seconds", "wall_seconds"),
    "peak_memory_mb",
)
TEXT = ("precision", "hardware", "torch", "data_fingerprint", "config_hash")
LOAD = ("cores", "own_cores", "other_cores", "jobs")
# overrides of a study's command that say where it runs, not what
OF_THE_MACHINE = (*PLACE_KEYS, "data.cache", "data.workers", "outputs", "study_folder", "hydra", "logger")


@dataclass(frozen=True)
class Options:
    """How runs were compared: the keys of compare.py that change what a report says."""

    training_error: float
    confidence: float
    allow: list[ComparabilityKey]

    @classmethod
    def of(cls, config: CompareConfig) -> "Options":
        """Return those of a configuration."""
        return cls(config.training_error, config.confidence, list(config.allow))


def write_archive(read: Arms, options: Options, folder: Path) -> None:
    """Write the three files into an existing folder."""
    runs = [(arm, seed, run) for arm, seeds in read.arms.items() for seed, run in seeds.items()]
    write_csv(folder / RUNS, [_row(arm, seed, run) for arm, seed, run in runs])
    write_csv(
        folder / CURVES,
        [
            {"arm": arm, "seed": seed} | dict(zip(run.metrics, map(_exact, values), strict=True))
            for arm, seed, run in runs
            for values in zip(*run.metrics.values(), strict=True)
        ],
    )
    content = {
        "version": VERSION,
        "subject": read.subject,
        "baseline": read.baseline,
        "baseline_rule": read.baseline_rule,
        "arms": {arm: _shared(seeds) for arm, seeds in read.arms.items()},
        "excluded": [asdict(run) for run in read.excluded],
        "diverged": dict(read.diverged),
        "record": read.record and to_content(_without_places(read.record)),
        "options": asdict(options) | {"allow": [key.value for key in options.allow]},
    }
    write_text(folder / ARCHIVE, json.dumps(content, indent=1) + "\n")


def read_archive(folder: Path) -> Arms:
    """Read the files again. Raises `UserError` where they are damaged."""
    try:
        content = json.loads((folder / ARCHIVE).read_text(encoding="utf-8"))
        if content["version"] != VERSION:
            raise ValueError("written by another version")
        curves: dict[tuple[str, str], list[dict[str, str]]] = {}
        for row in _rows(folder / CURVES):
            curves.setdefault((row.pop("arm"), row.pop("seed")), []).append(row)
        arms: dict[str, dict[int, Run]] = {arm: {} for arm in content["arms"]}
        for row in _rows(folder / RUNS):
            arm, seed = row["arm"], row["seed"]
            arms[arm][int(seed)] = _run(row, content["arms"][arm], curves.get((arm, seed), []))
        record = content["record"] and parse_record(content["record"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{folder / ARCHIVE}, or {RUNS} beside it, cannot be read: {error}.") from None
    return Arms(
        content["subject"],
        arms,
        content["baseline"],
        content["baseline_rule"],
        [ExcludedRun(**run) for run in content["excluded"]],
        record,
        Counter(content["diverged"]),
    )


def read_options(folder: Path) -> Options:
    """Read how the runs were compared. Raises `UserError` where results.json is damaged."""
    try:
        content = json.loads((folder / ARCHIVE).read_text(encoding="utf-8"))["options"]
        return Options(**content | {"allow": list(map(ComparabilityKey, content["allow"]))})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{folder / ARCHIVE} cannot be read: {error}.") from None


def _without_places(record: StudyRecord) -> StudyRecord:
    def kept(overrides: list[str]) -> list[str]:
        return [item for item in overrides if not is_under(item.partition("=")[0], OF_THE_MACHINE)]

    return replace(record, overrides=kept(record.overrides), added=list(map(kept, record.added)))


def _shared(seeds: dict[int, Run]) -> dict[str, Any]:
    """Return what the runs of an arm have in common; an arm may have none that completed."""
    if not seeds:
        return {}
    first = next(iter(seeds.values()))
    root = (
        Path(first.data_root).name if first.data_root else None
    )  # names the data; the rest is of the machine
    return {
        "settings": first.settings,
        "claim": asdict(first.claim),
        "baseline": first.baseline,
        "data_root": root,
    }


def _row(arm: str, seed: int, run: Run) -> dict[str, Any]:
    row: dict[str, Any] = {"arm": arm, "seed": seed}
    row |= {key: getattr(run, key) for key in ("config_hash", *WHOLE)}
    row |= {key: _exact(getattr(run, key)) for key in REAL}
    row |= {f"{METRIC}{name}": _exact(value) for name, value in run.other_metrics.items()}
    if run.crop_errors is not None:
        row |= {key: _exact(getattr(run.crop_errors, key)) for key in CROPS}
    row |= {key: getattr(run, key) for key in TEXT}
    row |= {"commit": run.code.commit, "changes": run.code.changes}
    load = run.load and asdict(run.load)
    return row | {key: _exact(load[key]) if load else None for key in LOAD}


def _run(row: dict[str, str], shared: dict[str, Any], curve: list[dict[str, str]]) -> Run:
    numbers: dict[str, Any] = {key: int(row[key]) if row[key] else None for key in WHOLE}
    numbers |= {key: float(row[key]) if row[key] else None for key in REAL}
    texts: dict[str, Any] = {key: row[key] or None for key in TEXT}
    load = None
    if row["cores"]:
        cores, own, others = (float(row[key]) for key in LOAD[:3])
        load = Load(cores, own, others, int(row["jobs"]))
    crops: dict[str, Any] = {key: float(row[key]) if row.get(key) else None for key in CROPS}
    metrics = {name.removeprefix(METRIC): row[name] for name in row if name.startswith(METRIC)}
    return Run(
        path=Path(row["arm"], f"seed={row['seed']}"),
        seed=int(row["seed"]),
        settings=shared["settings"],
        claim=ClaimConfig(**shared["claim"]),
        baseline=shared["baseline"],
        other_metrics={name: float(value) for name, value in metrics.items() if value},
        crop_errors=CropErrors(**crops) if row.get(CROPS[0]) else None,
        metrics=_columns(curve),
        data_root=shared["data_root"],
        code=Code(row["commit"] or None, row["changes"]),
        load=load,
        tracked=None,
        **numbers,
        **texts,
    )


def _columns(rows: list[dict[str, str]]) -> dict[str, list[float]]:
    """Return the columns that a run has; those of other runs are empty."""
    names = [name for name in (rows[0] if rows else {}) if any(row[name] for row in rows)]
    return {name: [float(row[name] or "nan") for row in rows] for name in names}


def _rows(path: Path) -> Iterable[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _exact(value: float | None) -> str | None:
    """Return a number with all of its digits, which `write_csv` would round; NaN as an empty cell."""
    return None if value is None or isnan(value) else repr(value)
