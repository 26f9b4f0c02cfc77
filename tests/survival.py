"""Comparison of a run that was stopped and resumed with one that was not."""

import csv
import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

# what differs between two runs of the same configuration
MEASURED = {
    *("images_per_second", "data_wait_fraction", "model_flops_per_second", "matrix_rate_fraction"),
    *("seconds_per_step", "startup_seconds", "load"),
    *("input_bound", "wall_seconds", "seconds", "peak_memory_mb"),
}


def differences(actual: Any, expected: Any, where: str = "") -> list[str]:
    """List where two nested structures of plain data are not bit-identical."""
    if isinstance(actual, dict) and isinstance(expected, dict):
        keys = (actual.keys() | expected.keys()) - MEASURED
        return [
            difference
            for key in sorted(keys, key=str)
            for difference in differences(actual.get(key), expected.get(key), f"{where}/{key}")
        ]
    if isinstance(actual, list) and isinstance(expected, list) and len(actual) == len(expected):
        return [
            difference
            for index, (one, other) in enumerate(zip(actual, expected, strict=True))
            for difference in differences(one, other, f"{where}/{index}")
        ]
    if isinstance(actual, Tensor) and isinstance(expected, Tensor):
        same = actual.dtype == expected.dtype and torch.equal(actual, expected)
        return [] if same else [f"{where}: another tensor"]
    same = type(actual) is type(expected) and (actual == expected or actual != actual)
    return [] if same else [f"{where}: {actual} and not {expected}"]


def outcome(folder: Path) -> dict[str, Any]:
    """Return all files of a run that must not depend on its having been stopped."""
    with (folder / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    checkpoints = {
        path.name: torch.load(path, weights_only=True) for path in (folder / "checkpoints").glob("*.ckpt")
    }
    for checkpoint in checkpoints.values():
        del checkpoint["config"]  # names this run's own folder
        checkpoint.get("callbacks", {}).pop("ThroughputMonitor", None)
    return {
        "metrics": rows,
        "result": json.loads((folder / "result.json").read_text()),
        "checkpoints": checkpoints,
        "excluded": (folder / "excluded_files.csv").read_text(),
    }
