"""What a network says of an image by several of its crops."""

from collections.abc import Sequence
from functools import reduce

import torch
from torch import Tensor


def mean_over_crops(probabilities: Sequence[Tensor]) -> Tensor:
    """The mean over crops (paper §4.1), of probabilities (N, classes) by each.

    Added up in the order of the crops: torch's mean of a stack has an order that depends on N, so that it
    would round an image's probabilities differently in another batch.
    """
    return reduce(torch.add, probabilities) / len(probabilities)
