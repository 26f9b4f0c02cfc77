"""Top-1 and top-5 error (paper §6)."""

import torch
from torch import Tensor
from torchmetrics import Metric

from alexnet.data.image import UNREADABLE
from alexnet.metrics.registry import register_metric

MIN_CLASSES_FOR_TOP5 = 6


class TopKError(Metric):
    """Percentage of readable images whose class is not among the k most probable.

    Equals 100 (1 - accuracy) by torchmetrics' MulticlassAccuracy, which synchronizes with the device at every
    step if it is to ignore some of the images.
    """

    higher_is_better = False
    skips_unreadable = True
    is_percentage_of_images = True
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
        return 100 * (self.count - self.right) / self.count  # rounded once, to float32


@register_metric("top1_error")
def top1_error(classes: int) -> TopKError:
    """Build the top-1 error."""
    return TopKError(1)


@register_metric("top5_error", splits=("val",))
def top5_error(classes: int) -> TopKError | None:
    """Build the top-5 error, unless there are so few classes that it says nothing."""
    return TopKError(5) if classes >= MIN_CLASSES_FOR_TOP5 else None
