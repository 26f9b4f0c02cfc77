"""Training images that are mixed of two, with the labels of both."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from alexnet.config.data import MixAugmentationConfig
from alexnet.data.augmentation_params import AugmentationParams
from alexnet.data.image import UNREADABLE
from alexnet.data.sampling import epoch_generator, named_stream

CHOICE = "mixing choice"  # no name of an augmentation, which has no space


class MixedLabels(NamedTuple):
    """Labels (N,) of the images that are mixed in, and the shares (N,) of the images' own labels."""

    partners: Tensor
    shares: Tensor


class Mixing:
    """Mixes each image with the next one of its global batch, as torchvision's MixUp and CutMix do.

    The order of an epoch is random, and so is the partner; it is the same on any number of devices. Of
    several augmentations that mix, each image gets one, with equal probabilities. Images that cannot be read
    are neither mixed nor mixed in.
    """

    def __init__(self, augmentations: Mapping[str, MixAugmentationConfig]) -> None:
        self.augmentations = augmentations

    def draw_choice(self, seed: int, epoch: int, samples: int) -> dict[str, NDArray[Any]]:
        """Draw for each sample of an epoch which of several augmentations it gets."""
        count = len(self.augmentations)
        if count == 1:
            return {}
        generator = epoch_generator(seed, epoch, named_stream(CHOICE))
        return {CHOICE: generator.integers(0, count, samples, np.uint8)}

    def __call__(
        self, inputs: Tensor, labels: Tensor, params: AugmentationParams
    ) -> tuple[Tensor, MixedLabels]:
        """Mix N inputs of the network with the next of N + 1 (N + 1, 3, size, size), labels (N + 1,)."""
        device, rows = inputs.device, params.of(slice(len(labels) - 1))
        own, partners = inputs[:-1], inputs[1:]
        readable = (labels[:-1] != UNREADABLE) & (labels[1:] != UNREADABLE)
        mixed, shares = own, torch.ones(len(own), dtype=inputs.dtype, device=device)
        for number, (name, augmentation) in enumerate(self.augmentations.items()):
            candidates, own_shares = augmentation.mix(own, partners, rows.added_on(name, device))
            chosen = readable
            if CHOICE in rows.added:
                chosen = readable & (rows.added_on(CHOICE, device) == number)
            mixed = torch.where(chosen[:, None, None, None], candidates, mixed)
            shares = torch.where(chosen, own_shares.to(shares.dtype), shares)
        return mixed, MixedLabels(labels[1:], shares)
