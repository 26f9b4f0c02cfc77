"""Whether a run that was stopped and went on ended as one that was not."""

import csv
import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

# what depends on the machine's mood
MEASURED = {
    *("images_per_second", "data_wait_fraction", "model_flops_per_second", "matrix_rate_fraction"),
    *("input_bound", "wall_seconds", "seconds", "peak_memory_mb"),
}


def differences(ours: Any, expected: Any, where: str = "") -> list[str]:
    """Where two nested structures of plain data are not the same to the last bit."""
    if isinstance(ours, dict) and isinstance(expected, dict):
        keys = (ours.keys() | expected.keys()) - MEASURED
        return [
            found
            for key in sorted(keys, key=str)
            for found in differences(ours.get(key), expected.get(key), f"{where}/{key}")
        ]
    if isinstance(ours, list) and isinstance(expected, list) and len(ours) == len(expected):
        return [
            found
            for index, (one, other) in enumerate(zip(ours, expected, strict=True))
            for found in differences(one, other, f"{where}/{index}")
        ]
    if isinstance(ours, Tensor) and isinstance(expected, Tensor):
        same = ours.dtype == expected.dtype and torch.equal(ours, expected)
        return [] if same else [f"{where}: another tensor"]
    same = type(ours) is type(expected) and (ours == expected or ours != ours)
    return [] if same else [f"{where}: {ours} and not {expected}"]


def outcome(folder: Path) -> dict[str, Any]:
    """Everything that a run leaves that must not depend on its having been stopped."""
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
