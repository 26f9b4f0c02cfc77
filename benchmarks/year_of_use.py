"""Time the commands that look through what a year leaves: 300 runs in outputs/runs, and 50 studies.

    python benchmarks/year_of_use.py [--rounds 5] [--runs 300] [--studies 50]

The folders are made up in a temporary one: what the commands read, without checkpoints. The commands take
turns. Of each are reported the seconds, and in each round the ratio to a process that imports alexnet.cli,
as every program does first. train.py does not train: it ends at data.root, which does not exist, after the
search for a run to resume.
"""

import argparse
import csv
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

import yaml
from hydra import compose, initialize_config_dir

from alexnet.config import TrainConfig
from alexnet.config.composition import register
from alexnet.config.hashing import config_hash
from alexnet.config.reading import to_plain_dict
from alexnet.config.study import Design
from alexnet.paths import CONF, PROGRAMS, SOURCES
from alexnet.studies.record import StudyRecord

EPOCHS, STUDY_SEEDS = 90, 3
ARMS = {"baseline": True, "no_lrn": False}  # with LRN or without
BASE = "import alexnet.cli"

Command = tuple[list[str], str]  # what Python is given, and what it has to print


def main() -> None:
    arguments = _arguments()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        began = time.perf_counter()
        overrides = ["data=folder", f"data.root={folder / 'images'}", f"outputs={folder / 'outputs'}"]
        _make(folder / "outputs", overrides, arguments.runs, arguments.studies)
        print(
            f"{arguments.runs} runs and {arguments.studies} studies of {len(ARMS) * STUDY_SEEDS} runs, made"
            f" in {time.perf_counter() - began:.0f} s"
        )
        commands = _commands(overrides, arguments.runs, arguments.studies)
        seconds: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(arguments.rounds):
            for name, command in commands.items():
                seconds[name].append(_time(command, folder))
    print(f"{'':34}{'seconds: median (min-max)':>28}{'ratio: median (min-max)':>28}")
    for name, measured in seconds.items():
        ratios = [value / base for value, base in zip(measured, seconds[BASE], strict=True)]
        print(f"{name:34}{_spread(measured, '.2f'):>28}{_spread(ratios, '.1f'):>28}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--runs", type=int, default=300)
    parser.add_argument("--studies", type=int, default=50, help="2 or more, to be listed")
    return parser.parse_args()


def _commands(overrides: list[str], runs: int, studies: int) -> dict[str, Command]:
    train = [str(PROGRAMS / "train.py"), *overrides]
    compare = str(PROGRAMS / "compare.py")
    return {
        BASE: (["-c", f"{BASE}; print('imported')"], "imported"),
        "train.py": (train, "there is no such folder"),
        "train.py resume=auto": ([*train, "resume=auto"], "there is no such folder"),
        "compare.py study=outputs/studies": (
            [compare, "study=outputs/studies"],
            f"contains {studies} studies",
        ),
        "compare.py study=<one of them>": (
            [compare, "study=outputs/studies/study0"],
            f"Runs      {len(ARMS) * STUDY_SEEDS} compared",
        ),
        "compare.py runs='outputs/runs/*'": (
            [compare, "runs=outputs/runs/*", "baseline=model.lrn=true", "out=comparison"],
            f"Runs      {runs} compared",
        ),
    }


def _time(command: Command, folder: Path) -> float:
    given, expected = command
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, *given],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(SOURCES)},
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = time.perf_counter() - began
    if expected not in done.stdout + done.stderr:
        raise SystemExit(f"{' '.join(given)} did not print: {expected}\n{done.stdout}{done.stderr}")
    return seconds


def _spread(values: list[float], form: str) -> str:
    return f"{statistics.median(values):{form}} ({min(values):{form}}-{max(values):{form}})"


def _make(outputs: Path, overrides: list[str], runs: int, studies: int) -> None:
    """Make runs of two configurations, each with as many seeds, and studies that compare these two."""
    register("train", TrainConfig)
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = to_plain_dict(compose("train", overrides))
    levels = list(ARMS.values())
    for number in range(runs):
        seed, level = divmod(number, len(levels))
        run = config | {"seed": seed, "model": config["model"] | {"lrn": levels[level]}}
        name = f"2026-01-{1 + number % 28:02}_00-00-00_{config_hash(run)}"
        _write_run(outputs / "runs" / name, run)
    first = outputs / "studies/study0"
    for arm, lrn in ARMS.items():
        for seed in range(STUDY_SEEDS):
            run = config | {"seed": seed, "model": config["model"] | {"lrn": lrn}}
            _write_run(first / arm / f"seed={seed}", run)
    arms = {arm: [] if lrn else [arm] for arm, lrn in ARMS.items()}
    seeds = {arm: list(range(STUDY_SEEDS)) for arm in ARMS}
    record = StudyRecord("study", "Study", Design.one_at_a_time, "baseline", ["no_lrn"], arms, seeds)
    record.write(first)
    for number in range(1, studies):
        shutil.copytree(first, outputs / f"studies/study{number}")


def _write_run(folder: Path, config: dict[str, Any]) -> None:
    """Write the files that compare.py reads; the errors of a run depend on its configuration alone."""
    error = 40 + int(config_hash(config), 16) % 1000 / 500 + (not config["model"]["lrn"])
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    environment = {
        "git": {"commit": "a" * 40, "diff": "", "untracked": []},
        "packages": {"torch": "2.11.0"},
        "cpu": {"model": "CPU"},
        "gpus": [],
    }
    (folder / "environment.json").write_text(json.dumps(environment), encoding="utf-8")
    result = {
        "seed": config["seed"],
        "epochs": EPOCHS,
        "classes": 1000,
        "parameters": 60_965_224,
        "val": {"loss": 1.7, "top1_error": error, "top5_error": error / 2, "samples": 50_000},
        "data_fingerprint": "a9c6ab6dabc42b51",
        "precision": "bf16-mixed",
        "images_per_second": 800.0,
        "wall_seconds": 3600.0,
        "status": "completed",
        "error": None,
    }
    (folder / "result.json").write_text(json.dumps(result), encoding="utf-8")
    with (folder / "metrics.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["epoch", "train/top1_error", "val/top1_error"])
        for epoch in range(1, EPOCHS + 1):
            left = 60 * 0.95**epoch
            writer.writerow([epoch, error - 10 + left, error + left])


if __name__ == "__main__":
    main()
