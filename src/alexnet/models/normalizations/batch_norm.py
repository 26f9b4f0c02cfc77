"""Batch normalization (Ioffe and Szegedy, ICML 2015)."""

from typing import TYPE_CHECKING

from alexnet.models.families.alexnet import register_normalization

if TYPE_CHECKING:
    from torch import nn


@register_normalization("batch_norm")
def batch_norm(channels: int) -> "nn.Module":
    """Build batch normalization with a learned scale and shift of each channel."""
    from alexnet.models.batch_norm import BatchNorm

    return BatchNorm(channels)
