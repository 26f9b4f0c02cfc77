"""How probable a trained network finds each class."""

from collections.abc import Collection

import torch
from torch import Tensor

from alexnet.choices import ValCrops
from alexnet.model.crops import mean_over_crops
from alexnet.run.trained import Trained

CENTER = 4  # which of the ten crops is the centre


def probabilities(trained: Trained, squares: Tensor, crops: ValCrops, device: torch.device) -> Tensor:
    """Of each class for uint8 squares (N, 3, S, S): (N, classes), on the CPU.

    With ten crops the mean of their softmax outputs (paper §4.1).
    """
    return probabilities_by_crops(trained, squares, [crops], device)[crops]


def probabilities_by_crops(
    trained: Trained, squares: Tensor, kinds: Collection[ValCrops], device: torch.device
) -> dict[ValCrops, Tensor]:
    """`probabilities` for several kinds of crops, in one pass: the centre is one of the ten."""
    network, there = trained.network.to(device), squares.to(device)
    with torch.inference_mode():
        if ValCrops.ten not in kinds:
            return {ValCrops.center: network(trained.crops.center(there)).softmax(1).cpu()}
        ten = trained.crops.ten(there)
        each = [network(crop).softmax(1) for crop in ten.unbind(1)]
        found = {ValCrops.center: each[CENTER].cpu(), ValCrops.ten: mean_over_crops(each).cpu()}
        return {kind: found[kind] for kind in kinds}
