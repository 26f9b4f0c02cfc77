"""Distillation: the cross-entropy with the labels and the divergence from a teacher's probabilities."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from alexnet.config.base import InputPath, check, check_positive
from alexnet.config.loss import LossConfig, register_loss
from alexnet.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor


@register_loss("distillation")
@dataclass
class DistillationConfig(LossConfig):
    """Part of the cross-entropy with the labels is replaced by the divergence from a teacher's outputs.

    (1 - w) CE(labels) + w T^2 KL(softmax(teacher / T), softmax(logits / T)): Hinton, Vinyals, Dean,
    "Distilling the Knowledge in a Neural Network" (1503.02531, section 2), with w = `weight` and
    T = `temperature`. The teacher sees the same crops (Beyer et al., "Knowledge distillation: A good teacher
    is patient and consistent", CVPR 2022). In validation the loss is the cross-entropy with the labels.
    """

    teacher: InputPath | None = None
    temperature: float = 2.0
    weight: float = 0.5

    def teacher_source(self) -> str:
        if self.teacher is None:
            raise UserError(
                "loss.teacher is not set: expected a run folder, a checkpoint, or torchvision:<network>,"
                " which is downloaded. Set it: loss.teacher=outputs/runs/... or the variable ALEXNET_TEACHER."
            )
        return self.teacher

    def build(self, classes: int) -> "Callable[..., Tensor]":
        from torch import float32, promote_types
        from torch.nn.functional import cross_entropy, kl_div

        def log_probabilities(logits: "Tensor") -> "Tensor":
            exact = logits.to(promote_types(logits.dtype, float32))  # 8 bits are too few for a difference
            return (exact / self.temperature).log_softmax(1)

        def distillation(logits: "Tensor", labels: "Tensor", teacher: "Tensor | None" = None) -> "Tensor":
            losses = cross_entropy(logits, labels, reduction="none")
            if teacher is None:
                return losses
            ours, theirs = log_probabilities(logits), log_probabilities(teacher)
            divergences = kl_div(ours, theirs, reduction="none", log_target=True).sum(1)
            return (1 - self.weight) * losses + self.weight * self.temperature**2 * divergences

        return distillation

    def check(self) -> None:
        check_positive("loss.temperature", self.temperature)
        check(0 < self.weight <= 1, "loss.weight", self.weight, "a number above 0, to 1")
