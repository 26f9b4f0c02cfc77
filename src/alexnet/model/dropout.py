"""Dropout as the paper has it: halve the outputs at test time instead of doubling them in training."""

import torch
from torch import Tensor, nn

from alexnet.choices import DropoutScaling


class TestScaledDropout(nn.Module):
    """Zero each activity with probability `p` in training; multiply all by `1 - p` at test.

    Paper §4.2; 2012 source, src/layer.cu. Torch's own dropout is the same function at test but
    feeds the next layer 1/(1-p) times more in training, which is other dynamics for the same
    initial weights and learning rate.
    """

    __test__ = False  # pytest: not a test class

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            return x * (torch.rand_like(x, dtype=torch.float32) >= self.p)
        return x * (1 - self.p)

    def extra_repr(self) -> str:
        return f"p={self.p}"


def dropout(p: float, scaling: DropoutScaling) -> nn.Module:
    """A dropout layer; at p=0 one that does nothing."""
    if p == 0:
        return nn.Identity()
    return TestScaledDropout(p) if scaling is DropoutScaling.test else nn.Dropout(p)
