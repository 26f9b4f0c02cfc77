"""Every random choice about the data, as a function of (seed, epoch, sample) alone.

Neither workers nor ranks nor a restart changes the order of an epoch or what a sample looks like.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from alexnet.config import AugmentConfig, ColorScale
from alexnet.data.loader import move_to_device
from alexnet.data.sampling import _generator, _Stream, epoch_order


class AugmentationParams(NamedTuple):
    """The random choices of one epoch, a row a sample.

    `corners` (samples, 2) are uniform in [0, 1); `flips` (samples,) are fair coins;
    `colors` (samples, 3) are standard normal; `dropout_seeds` (samples,) decide which units are dropped.
    """

    corners: NDArray[np.float64]
    flips: NDArray[np.bool_]
    colors: NDArray[np.float32]
    dropout_seeds: NDArray[np.uint32]

    def of(self, samples: NDArray[np.int64] | slice) -> "AugmentationParams":
        """The rows of some samples."""
        return AugmentationParams(
            self.corners[samples], self.flips[samples], self.colors[samples], self.dropout_seeds[samples]
        )


@lru_cache(maxsize=2)
def epoch_augmentation_params(seed: int, epoch: int, samples: int, chunk: int) -> AugmentationParams:
    """The draws of one epoch. `chunk` consecutive samples of its order share crop and flip."""
    corners = _generator(seed, epoch, _Stream.crop).random((samples, 2))
    flips = _generator(seed, epoch, _Stream.flip).random(samples) < 0.5
    colors = _generator(seed, epoch, _Stream.color).standard_normal((samples, 3), dtype=np.float32)
    dropout_seeds = _generator(seed, epoch, _Stream.dropout).integers(0, 2**32, samples, np.uint32)
    if chunk > 1:
        place = np.empty(samples, dtype=np.int64)
        place[epoch_order(seed, epoch, samples)] = np.arange(samples)
        corners, flips = corners[place // chunk], flips[place // chunk]
    return AugmentationParams(corners, flips, colors, dropout_seeds)


PIECE = 4  # images that a CPU works on at a time: what it does to them stays in the processor's cache


class Crops:
    """From uint8 squares (N, 3, S, S) to float crops (N, 3, size, size) less the mean.

    Works where the images are: on the CPU or on an accelerator. Crops are worked out in float32 at the
    least, 0-255 less a mean needs more than bfloat16's 8 bits, and rounded to the dtype asked for.
    """

    def __init__(self, mean: Tensor, margin: int) -> None:
        """`mean` is (3, size, size), whatever the crop's place; a square has `margin` pixels more."""
        self.mean = mean
        self.size = mean.shape[-1]
        self.margin = margin
        self._means: dict[tuple[torch.device, torch.dtype], Tensor] = {}

    def center(self, images: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        """What validation sees: the centre crop less the mean."""
        border = self.margin // 2
        crop = images[..., border : border + self.size, border : border + self.size]
        return self._less_mean(crop, dtype).to(dtype)

    def ten(self, images: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        """Corners, centre, and their mirror images, less the mean (paper §4.1): (N, 10, 3, size, size)."""
        end, border = self.margin, self.margin // 2
        corners = ((0, 0), (0, end), (end, 0), (end, end), (border, border))
        crops = [images[..., top : top + self.size, left : left + self.size] for top, left in corners]
        every = torch.stack([*crops, *(crop.flip(-1) for crop in crops)], 1)
        return self._less_mean(every, dtype).to(dtype)

    def _less_mean(self, crops: Tensor, dtype: torch.dtype) -> Tensor:
        exact = torch.promote_types(dtype, torch.float32)
        place = (crops.device, exact)
        if place not in self._means:
            self._means[place] = self.mean.to(*place)
        return crops.to(exact).sub_(self._means[place])


class Augmentation(Crops):
    """Random crops, flips and colours besides."""

    def __init__(self, config: AugmentConfig, size: int, mean: Tensor, color_axes: Tensor) -> None:
        """`mean` is (3, S, S); a column of `color_axes` (3, 3) is the move of one standard normal draw."""
        margin = mean.shape[-1] - size
        border = margin // 2
        # 2012 source, convdata.py:137: the centre of the mean image, whatever the crop's place
        super().__init__(mean[:, border : border + size, border : border + size].contiguous(), margin)
        self.config = config
        self.color_axes = color_axes

    def random(
        self, images: Tensor, draws: AugmentationParams, epoch: int, dtype: torch.dtype = torch.float32
    ) -> Tensor:
        """What training sees. `draws` has a row for each image."""
        last = self.config.color_until_epoch
        moves = None
        if self.config.color and (last is None or epoch < last):
            exact = torch.promote_types(dtype, torch.float32)
            moves = move_to_device(self.color_moves(draws, exact), images.device)[:, :, None, None]
        if images.device.type != "cpu":
            return self._random(images, draws, moves, dtype).to(dtype)
        result = torch.empty(len(images), 3, self.size, self.size, dtype=dtype)
        for start in range(0, len(images), PIECE):
            part = slice(start, start + PIECE)
            of_part = None if moves is None else moves[part]
            result[part] = self._random(images[part], draws.of(part), of_part, dtype)
        return result

    def color_moves(self, draws: AugmentationParams, dtype: torch.dtype) -> Tensor:
        """What is added to the red, green and blue of each image, (N, 3): on the CPU, whatever the device.

        The products are added one after the other, those of the shortest axis first. A matrix product would
        round differently with the number of rows, and an image's pixels would depend on its batch.
        """
        lengths = torch.from_numpy(draws.colors).to(dtype) * self.config.color_std
        axes = self.color_axes.to(dtype)
        first, second, third = (lengths[:, axis, None] * axes[:, axis] for axis in range(3))
        return third + second + first

    def _random(
        self, images: Tensor, draws: AugmentationParams, moves: Tensor | None, dtype: torch.dtype
    ) -> Tensor:
        x = self._less_mean(self.crop_and_flip(images, draws), dtype)
        if moves is not None:
            x += moves
            if self.config.color_scale is ColorScale.standard_deviation:
                # 2012 source, convdata.py:205: so that training and test images have one scale
                x /= 1 + self.config.color_std
        return x

    def crop_and_flip(self, images: Tensor, draws: AugmentationParams) -> Tensor:
        """The crops that training sees, still uint8."""
        corners = np.full((len(images), 2), self.margin // 2)
        if self.config.crop:
            # margin + 1 places each way, as in the program (convdata.py:253)
            corners = (draws.corners * (self.margin + 1)).astype(np.int64)
        flips = draws.flips & self.config.flip
        if images.device.type == "cpu":
            return self._copy_each(images, corners, flips)
        return self._gather(images, corners, flips)

    def _copy_each(self, images: Tensor, corners: NDArray[np.int64], flips: NDArray[np.bool_]) -> Tensor:
        """One image after the other: on a CPU ten times as fast as gathering pixel by pixel."""
        crops = [
            image[:, top : top + self.size, left : left + self.size]
            for image, (top, left) in zip(images, corners.tolist(), strict=True)
        ]
        return torch.stack([crop.flip(2) if flip else crop for crop, flip in zip(crops, flips, strict=True)])

    def _gather(self, images: Tensor, corners: NDArray[np.int64], flips: NDArray[np.bool_]) -> Tensor:
        """All images at once: few launches, which is what an accelerator wants."""
        device = images.device
        # a view of every crop at every place, from which one is taken for each image
        places = images.unfold(2, self.size, 1).unfold(3, self.size, 1)
        sample = torch.arange(len(images), device=device)
        top, left = move_to_device(torch.from_numpy(corners), device).unbind(1)
        crops = places[sample, :, top, left]
        return torch.where(
            move_to_device(torch.from_numpy(flips), device)[:, None, None, None], crops.flip(3), crops
        )
