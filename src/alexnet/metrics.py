"""Metrics of a split: mean loss, top-k errors and numbers of images, over all ranks."""

from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric, MetricCollection, SumMetric

from alexnet.data.image import UNREADABLE

MIN_CLASSES_FOR_TOP5 = 6


class TopKError(Metric):
    """Percentage of readable images whose class is not among the k most probable.

    Equals 100 (1 - accuracy) by torchmetrics' MulticlassAccuracy, which synchronizes with the device at every
    step if it is to ignore some of the images.
    """

    higher_is_better = False
    right: Tensor
    count: Tensor

    def __init__(self, k: int) -> None:
        super().__init__()
        self.k = k
        for state in ("right", "count"):
            self.add_state(state, torch.tensor(0), dist_reduce_fx="sum")

    def update(self, logits: Tensor, labels: Tensor) -> None:
        """Count logits (N, classes) and labels (N,), `UNREADABLE` for images that are left out."""
        self.right += (logits.topk(self.k).indices == labels[:, None]).sum()
        self.count += (labels != UNREADABLE).sum()

    def compute(self) -> Tensor:
        return 100 * (1 - self.right / self.count)


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
    """Mean loss, errors and numbers of readable and unreadable images of one split, over all ranks."""

    def __init__(self, split: str, ks: set[int]) -> None:
        metrics: dict[str, Any] = {"loss": MeanLoss()}
        # the check for NaN would synchronize with the device at every step
        metrics |= {name: SumMetric(nan_strategy="disable") for name in ("samples", "unreadable")}
        metrics |= {f"top{k}_error": TopKError(k) for k in sorted(ks)}
        super().__init__(metrics, prefix=f"{split}/", compute_groups=False)

    def count(self, losses: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Count a batch: losses (N,), logits (N, classes), labels (N,)."""
        readable = (labels != UNREADABLE).float()
        for name, metric in self.items(keep_base=True):
            if name == "loss":
                metric.update(losses, readable)
            elif name in ("samples", "unreadable"):
                metric.update(readable if name == "samples" else 1 - readable)
            else:
                metric.update(logits, labels)

    def states(self) -> dict[str, dict[str, Tensor]]:
        """Return the counts of this process so far."""
        metrics = self.items(keep_base=True)
        return {
            name: {key: torch.as_tensor(value).cpu() for key, value in metric.metric_state.items()}
            for name, metric in metrics
        }

    def add(self, states: dict[str, dict[str, Tensor]]) -> None:
        """Add the counts of another process."""
        for name, metric in self.items(keep_base=True):
            for key, value in states[name].items():
                setattr(metric, key, getattr(metric, key) + value.to(metric.device))
            metric._update_count += 1  # as load_state_dict does; else compute() warns of no updates
