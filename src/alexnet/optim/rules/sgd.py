"""Stochastic gradient descent with momentum: the paper's rule (§5), PyTorch's, and Nesterov's."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from omegaconf import MISSING

from alexnet.config.base import check, check_fraction
from alexnet.config.optim import OptimizerConfig, register_optimizer

if TYPE_CHECKING:
    from torch.optim import Optimizer


@dataclass
class MomentumConfig(OptimizerConfig):
    """An update rule with momentum."""

    momentum: float = MISSING

    def check(self) -> None:
        super().check()
        check_fraction("optimizer.momentum", self.momentum)


@register_optimizer("paper")
@dataclass
class PaperConfig(MomentumConfig):
    """The learning rate is part of the velocity."""

    def build(self, groups: list[dict[str, Any]]) -> "Optimizer":
        from alexnet.optim.paper_sgd import PaperSGD

        return PaperSGD(groups, momentum=self.momentum)


@register_optimizer("pytorch")
@dataclass
class PyTorchConfig(MomentumConfig):
    """The learning rate multiplies the velocity."""

    def build(self, groups: list[dict[str, Any]]) -> "Optimizer":
        from torch.optim import SGD

        return SGD(groups, momentum=self.momentum)


@register_optimizer("nesterov")
@dataclass
class NesterovConfig(MomentumConfig):
    """As PyTorch's, with the gradient after the next step of the velocity (Sutskever et al., ICML 2013)."""

    def build(self, groups: list[dict[str, Any]]) -> "Optimizer":
        from torch.optim import SGD

        return SGD(groups, momentum=self.momentum, nesterov=True)

    def check(self) -> None:
        super().check()
        check(self.momentum > 0, "optimizer.momentum", self.momentum, "above 0 for Nesterov's rule")
