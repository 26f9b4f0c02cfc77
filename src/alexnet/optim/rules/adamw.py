"""Adam with decoupled weight decay."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from omegaconf import MISSING

from alexnet.config.base import check, check_positive
from alexnet.config.optim import OptimizerConfig, register_optimizer

if TYPE_CHECKING:
    from torch.optim import Optimizer


@register_optimizer("adamw")
@dataclass
class AdamWConfig(OptimizerConfig):
    """AdamW (Loshchilov and Hutter, ICLR 2019): `betas` of the mean gradient and of its square."""

    weight_copies: ClassVar[int] = 2  # the means

    betas: list[float] = MISSING
    eps: float = MISSING

    def build(self, groups: list[dict[str, Any]]) -> "Optimizer":
        from torch.optim import AdamW

        first, second = self.betas
        return AdamW(groups, betas=(first, second), eps=self.eps)

    def check(self) -> None:
        super().check()
        valid = len(self.betas) == 2 and all(0 <= beta < 1 for beta in self.betas)
        check(valid, "optimizer.betas", self.betas, "two numbers from 0 to below 1")
        check_positive("optimizer.eps", self.eps)
