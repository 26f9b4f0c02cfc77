"""The cross-entropy (paper §3.5: multinomial logistic regression)."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from alexnet.config.base import check_fraction
from alexnet.config.loss import LossConfig, register_loss

if TYPE_CHECKING:
    from torch import Tensor


@register_loss("cross_entropy")
@dataclass
class CrossEntropyConfig(LossConfig):
    """The cross-entropy with the labels, each smoothed to 1 - e + e / classes, the others to e / classes.

    e is `label_smoothing` (Szegedy et al., "Rethinking the Inception architecture", CVPR 2016, section 7).
    """

    label_smoothing: float = 0.0

    def build(self, classes: int) -> "Callable[[Tensor, Tensor], Tensor]":
        from torch.nn.functional import cross_entropy

        return partial(cross_entropy, reduction="none", label_smoothing=self.label_smoothing)

    def check(self) -> None:
        check_fraction("loss.label_smoothing", self.label_smoothing)
