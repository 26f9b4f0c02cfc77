"""The files of a benchmark."""

import json
import os
import platform
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import torch
import yaml
from matplotlib.figure import Figure

from alexnet.benchmark.figures import draw_growth, draw_profile, draw_rates
from alexnet.benchmark.programs import device_of
from alexnet.benchmark.results import Results
from alexnet.compare.charts.theme import LIGHT, Theme, image
from alexnet.config import BenchmarkConfig
from alexnet.errors import UserError
from alexnet.paths import absolute
from alexnet.run.environment import cpu_model
from alexnet.run.whole_file import written_whole
from alexnet.training.devices import resolve_precision


def new_folder(outputs: str) -> Path:
    """<outputs>/benchmarks/<date>_<time>/, never one that is there. Raises `UserError` where it cannot be."""
    wanted = absolute(outputs) / "benchmarks" / f"{datetime.now():%Y-%m-%d_%H-%M-%S}"
    folder = wanted
    try:
        wanted.parent.mkdir(parents=True, exist_ok=True)
        for number in count(2):
            try:
                folder.mkdir()
                break
            except FileExistsError:
                folder = wanted.with_name(f"{wanted.name}-{number}")
    except OSError as error:
        raise UserError(f"Cannot make {folder}: {error.strerror}. Give another: outputs=...") from error
    return folder


def write_report(
    results: Results, text: str, config: BenchmarkConfig, resolved: dict[str, Any], folder: Path
) -> None:
    """Write result.json, config.yaml, table.txt and the pictures."""
    everything = {
        "machine": _machine(config),
        "precision": resolve_precision(config.trainer),
        **asdict(results),
        "cost_of_an_image": results.cost_of_an_image(),
        "config": resolved,
    }
    files = {
        "result.json": json.dumps(everything, indent=2) + "\n",
        "config.yaml": yaml.safe_dump(resolved, sort_keys=False, allow_unicode=True),
        "table.txt": f"{results.heading}\n\n{text}\n",
    }
    drawings: dict[str, Callable[[Results, Theme], Figure]] = {"rates": draw_rates}
    if results.parts:
        drawings["profile"] = draw_profile
    if results.by_batch_size or results.by_data_size:
        drawings["growth"] = draw_growth
    try:
        (folder / "figures").mkdir()
        for name, content in files.items():
            with written_whole(folder / name) as file:
                file.write(content.encode())
        for name, draw in drawings.items():
            with written_whole(folder / "figures" / f"{name}.png") as file:
                file.write(image(partial(draw, results), LIGHT, "png"))
    except OSError as error:
        raise UserError(f"Cannot write to {folder}: {error.strerror}.") from error


def _machine(config: BenchmarkConfig) -> dict[str, Any]:
    device = device_of(config)
    return {
        "device": device.type,
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if device.type == "cuda" else None,
        "torch": torch.__version__,
        "cuda": torch.version.cuda if device.type == "cuda" else None,
        "python": platform.python_version(),
        "platform": platform.platform(),
    }
