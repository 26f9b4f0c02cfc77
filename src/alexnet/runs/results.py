"""The content of result.json."""

from typing import Any

from torch import nn

from alexnet.config.hashing import config_hash
from alexnet.data.loading import ImageData

INPUT_BOUND = 0.1  # fraction of the time spent waiting for images above which a run is input-bound


def result_fields(
    resolved: dict[str, Any],
    data: ImageData,
    parameters: int,
    rows: list[dict[str, Any]],
    rates: dict[str, Any],
) -> dict[str, Any]:
    """Return the fields of result.json that all runs have, with the `rates` of this one.

    Errors are in percent, from the last epoch that has them.
    """
    splits = {name: split for name in ("train", "val") if (split := _split(rows, name))}
    validated = [row for row in rows if row.get("val/top1_error") is not None]
    best = min(validated, key=lambda row: row["val/top1_error"], default=None)
    return {
        "seed": resolved["seed"],
        "epochs": len(rows),
        "classes": len(data.classes),
        "parameters": parameters,
        **splits,
        "logged": _logged(rows),
        "best": best and {"epoch": best["epoch"], "top1_error": best["val/top1_error"]},
        "config_hash": config_hash(resolved),
        "data_fingerprint": data.fingerprint,
        **rates,
    }


def count_parameters(network: nn.Module) -> int:
    """Return the number of trainable parameters."""
    return sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)


def _logged(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Return the last value of what callbacks have logged: names such as my_callback/norm."""
    return {
        key: value
        for row in rows
        for key, value in row.items()
        if "/" in key and not key.startswith(("train/", "val/")) and value is not None
    }


def _split(rows: list[dict[str, Any]], name: str) -> dict[str, Any]:
    for row in reversed(rows):
        values = {
            key.partition("/")[2]: int(value) if key.endswith("samples") else value
            for key, value in row.items()
            if key.startswith(f"{name}/") and value is not None
        }
        if values:
            return values
    return {}
