"""The content of result.json."""

from typing import Any

from torch import nn

from alexnet.callbacks.throughput_monitor import ThroughputMonitor
from alexnet.config.hashing import config_hash
from alexnet.data.loading import ImageData

INPUT_BOUND = 0.1  # share of the time spent waiting for images, from which on the input is what limits


def training_result(
    resolved: dict[str, Any],
    data: ImageData,
    network: nn.Module,
    rows: list[dict[str, Any]],
    throughput: ThroughputMonitor,
) -> dict[str, Any]:
    """What result.json says of the numbers. Errors are percentages, of the last epoch that has them."""
    rates = throughput.summary()
    rates |= {"input_bound": rates["data_wait_fraction"] > INPUT_BOUND}
    return result_fields(resolved, data, count_parameters(network), rows, rates)


def result_fields(
    resolved: dict[str, Any],
    data: ImageData,
    parameters: int,
    rows: list[dict[str, Any]],
    rates: dict[str, Any],
) -> dict[str, Any]:
    """The same of anything that learns: `rates` are how fast it was."""
    splits = {name: split for name in ("train", "val") if (split := _split(rows, name))}
    validated = [row for row in rows if row.get("val/top1_error") is not None]
    best = min(validated, key=lambda row: row["val/top1_error"], default=None)
    return {
        "seed": resolved["seed"],
        "epochs": len(rows),
        "classes": len(data.classes),
        "parameters": parameters,
        **splits,
        "best": best and {"epoch": best["epoch"], "top1_error": best["val/top1_error"]},
        "config_hash": config_hash(resolved),
        "data_fingerprint": data.fingerprint,
        **rates,
    }


def count_parameters(network: nn.Module) -> int:
    """Number of trained numbers."""
    return sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)


def _split(rows: list[dict[str, Any]], name: str) -> dict[str, Any]:
    for row in reversed(rows):
        found = {
            key.partition("/")[2]: int(value) if key.endswith("samples") else value
            for key, value in row.items()
            if key.startswith(f"{name}/") and value is not None
        }
        if found:
            return found
    return {}
