"""The registry of metrics. Imports no torch."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from alexnet.config.registry import Registry

if TYPE_CHECKING:
    from torchmetrics import Metric

Builder = Callable[[int], "Metric | None"]
SPLITS = ("train", "val")


class MetricRegistry(Registry[Builder]):
    """Metrics by name, each with the splits that it is computed for. All that exist are computed.

    A builder takes the number of classes, and returns None where the metric does not apply. The metric is
    updated with logits (N, classes) and labels (N,) of readable images, and computes a number.
    """

    def __init__(self) -> None:
        super().__init__("metric", "metric", package="alexnet.metrics.classification")
        self.splits: dict[str, tuple[str, ...]] = {}

    def register(self, name: str, *, splits: tuple[str, ...] = SPLITS) -> Callable[[Builder], Builder]:
        """Return the decorator that registers a metric as the column <split>/<name> of metrics.csv."""
        if not set(splits) <= set(SPLITS) or not splits:
            raise ValueError(f"splits={splits}: expected some of {SPLITS}")
        if name in RESERVED:
            raise ValueError(f"{name!r} is already a column of metrics.csv: the metric needs another name")
        add = super().register(name)

        def add_with_splits(builder: Builder) -> Builder:
            add(builder)
            self.splits[name] = splits
            return builder

        return add_with_splits


RESERVED = ("loss", "samples", "unreadable", "step_loss")
METRICS = MetricRegistry()
register_metric = METRICS.register
