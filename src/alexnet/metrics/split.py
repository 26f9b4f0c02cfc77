"""All metrics of one split."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric, MetricCollection, SumMetric

from alexnet.data.image import UNREADABLE
from alexnet.errors import UserError
from alexnet.metrics.registry import METRICS


class MeanLoss(Metric):
    """Mean of the finite losses of readable images.

    torchmetrics' MeanMetric either synchronizes with the device at every step, or ignores weights
    (nan_strategy="disable").
    """

    total: Tensor
    count: Tensor

    def __init__(self) -> None:
        super().__init__()
        for state in ("total", "count"):
            self.add_state(state, torch.tensor(0.0), dist_reduce_fx="sum")

    def update(self, losses: Tensor, readable: Tensor) -> None:
        """Count the finite losses (N,) of readable images; `readable` (N,) is 1 or 0."""
        counted = readable * losses.isfinite()
        self.total += (losses.nan_to_num(0, 0, 0) * counted).sum()
        self.count += counted.sum()

    def compute(self) -> Tensor:
        return self.total / self.count


class SplitMetrics(MetricCollection):
    """Mean loss, numbers of readable and unreadable images, and all registered metrics of one split.

    Over all ranks. Their names begin with `prefix`, by default the split's name. Raises `UserError` for a
    builder that does not return a metric.
    """

    def __init__(self, split: str, classes: int, prefix: str | None = None) -> None:
        metrics: dict[str, Any] = {"loss": MeanLoss()}
        for name in METRICS.names():
            if split in METRICS.splits[name] and (metric := _build(name, classes)) is not None:
                metrics[name] = metric
        # the check for NaN would synchronize with the device at every step
        metrics |= {name: SumMetric(nan_strategy="disable") for name in ("samples", "unreadable")}
        super().__init__(metrics, prefix=prefix or f"{split}/", compute_groups=False)

    def count(self, losses: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Count a batch: losses (N,), logits (N, classes), labels (N,), `UNREADABLE` where there is none."""
        is_readable = labels != UNREADABLE
        readable = is_readable.float()
        for name, metric in self.items(keep_base=True):
            if name == "loss":
                metric.update(losses, readable)
            elif name in ("samples", "unreadable"):
                metric.update(readable if name == "samples" else 1 - readable)
            elif getattr(metric, "skips_unreadable", False):
                metric.update(logits, labels)
            elif is_readable.any():  # waits for the device, unlike the project's own metrics
                metric.update(logits[is_readable], labels[is_readable])

    def exact_percentages(self, computed: Mapping[str, float]) -> dict[str, float]:
        """Return 100 k/n in float64 for each metric that is the percentage of k of the n readable images.

        `computed` holds the metrics' values by name, rounded to float32. Devices may not have float64.
        """
        images = computed.get(f"{self.prefix}samples")
        return {
            name: 100 * round(computed[name] * images / 100) / images
            for name, metric in self.items()
            if images and getattr(metric, "is_percentage_of_images", False) and name in computed
        }

    def states(self) -> dict[str, dict[str, Any]]:
        """Return the counts of this process so far, as tensors and lists of tensors on the CPU."""
        return {
            name: {key: _move(value, torch.device("cpu")) for key, value in metric.metric_state.items()}
            for name, metric in self.items(keep_base=True)
        }

    def add(self, states: dict[str, dict[str, Any]]) -> None:
        """Add the counts of another process; a metric that it did not have starts from here."""
        for name, metric in self.items(keep_base=True):
            if name in states:
                metric._update_count += 1  # as load_state_dict does; else compute() warns of no updates
                metric._reduce_states(
                    {key: _move(value, metric.device) for key, value in states[name].items()}
                )


def _move(value: Any, device: torch.device) -> Any:
    if isinstance(value, list):
        return [_move(item, device) for item in value]
    return torch.as_tensor(value).to(device)


def _build(name: str, classes: int) -> Metric | None:
    builder = METRICS[name]
    metric = builder(classes)
    if metric is not None and not isinstance(metric, Metric):
        raise UserError(
            f"The metric {name} of {builder.__module__} is a {type(metric).__name__}: expected a Metric of"
            " torchmetrics."
        )
    return metric
