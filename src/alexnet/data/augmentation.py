"""Crops, flips and colour noise of whole batches, on the CPU or on an accelerator."""

from functools import lru_cache
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from alexnet.config import AugmentationConfig, AugmentConfig, ColorScale
from alexnet.config.data import AUGMENTATIONS, CropAugmentationConfig, MixAugmentationConfig
from alexnet.data.augmentation_params import AugmentationParams
from alexnet.data.loader import move_to_device
from alexnet.data.mixing import Mixing
from alexnet.data.sampling import RandomStream, epoch_generator, epoch_order, named_stream
from alexnet.errors import UserError


@lru_cache(maxsize=2)
def epoch_augmentation_params(
    seed: int, epoch: int, samples: int, crop_group_size: int
) -> AugmentationParams:
    """Draw for one epoch. `crop_group_size` consecutive samples of its order share crop and flip."""
    corners = epoch_generator(seed, epoch, RandomStream.crop).random((samples, 2))
    flips = epoch_generator(seed, epoch, RandomStream.flip).random(samples) < 0.5
    color_generator = epoch_generator(seed, epoch, RandomStream.color)
    colors = color_generator.standard_normal((samples, 3), dtype=np.float32)
    dropout_seeds = epoch_generator(seed, epoch, RandomStream.dropout).integers(0, 2**32, samples, np.uint32)
    if crop_group_size > 1:
        groups = _crop_groups(seed, epoch, samples, crop_group_size)
        corners, flips = corners[groups], flips[groups]
    return AugmentationParams(corners, flips, colors, dropout_seeds)


def _crop_groups(seed: int, epoch: int, samples: int, size: int) -> NDArray[np.int64]:
    """Return the number of each sample's group of `size` consecutive samples of an epoch's order."""
    position = np.empty(samples, dtype=np.int64)
    position[epoch_order(seed, epoch, samples)] = np.arange(samples)
    return position // size


CPU_CHUNK = 2**20  # values of the crops that a CPU augments at a time: they stay in the processor's cache


class Crops:
    """Mean-subtracted float crops (N, 3, size, size) of uint8 images (N, 3, S, S).

    They are computed on the device of the images. The arithmetic is in at least float32 (0-255 minus a mean
    needs more than bfloat16's 8 bits), and the result is rounded to the requested dtype.
    """

    def __init__(self, mean: Tensor, margin: int) -> None:
        """Take the mean (3, size, size) of crops at any position; images are `margin` pixels larger."""
        self.mean = mean
        self.size = mean.shape[-1]
        self.margin = margin
        self._means: dict[tuple[torch.device, torch.dtype], Tensor] = {}

    def center(self, images: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        """Return the centre crops that validation uses, (N, 3, size, size)."""
        border = self.margin // 2
        crop = images[..., border : border + self.size, border : border + self.size]
        return self._subtract_mean(crop, dtype).to(dtype)

    def ten(self, images: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        """Return corners, centre, and their mirror images (paper §4.1), (N, 10, 3, size, size)."""
        end, border = self.margin, self.margin // 2
        corners = ((0, 0), (0, end), (end, 0), (end, end), (border, border))
        crops = [images[..., top : top + self.size, left : left + self.size] for top, left in corners]
        stacked = torch.stack([*crops, *(crop.flip(-1) for crop in crops)], 1)
        return self._subtract_mean(stacked, dtype).to(dtype)

    def _subtract_mean(self, crops: Tensor, dtype: torch.dtype) -> Tensor:
        exact = torch.promote_types(dtype, torch.float32)
        key = (crops.device, exact)
        if key not in self._means:
            self._means[key] = self.mean.to(*key)
        return crops.to(exact).sub_(self._means[key])


class Augmentation(Crops):
    """Random crops, flips and colour noise for training, in addition to the crops of validation."""

    def __init__(self, config: AugmentConfig, size: int, mean: Tensor, color_axes: Tensor) -> None:
        """Take the mean image (3, S, S) and the colour axes (3, 3) of `statistics.color_axes`."""
        margin = mean.shape[-1] - size
        border = margin // 2
        # 2012 source, convdata.py:137: the centre of the mean image, whatever the position of the crop
        super().__init__(mean[:, border : border + size, border : border + size].contiguous(), margin)
        self.config = config
        self.color_axes = color_axes
        registered = AUGMENTATIONS.configs(config).items()
        self.added: dict[str, AugmentationConfig] = {name: item for name, item in registered if item.active}
        crops = [name for name, item in self.added.items() if isinstance(item, CropAugmentationConfig)]
        if len(crops) > 1:
            raise UserError(
                f"data.augment: {' and '.join(crops)} both crop the images. Leave one of them on."
            )
        self._crop_name = crops[0] if crops else None
        mixes = {name: item for name, item in self.added.items() if isinstance(item, MixAugmentationConfig)}
        self.mixing = Mixing(mixes) if mixes else None
        self._added_draws: tuple[tuple[int, int, int], dict[str, NDArray[Any]]] | None = None

    def params(self, seed: int, epoch: int, samples: int) -> AugmentationParams:
        """Return the draws of all samples of an epoch.

        Raises `UserError` where a registered augmentation does not draw a row for each sample.
        """
        params = epoch_augmentation_params(seed, epoch, samples, self.config.crop_group_size)
        return params._replace(added=self._draw_added(seed, epoch, samples)) if self.added else params

    def _draw_added(self, seed: int, epoch: int, samples: int) -> dict[str, NDArray[Any]]:
        key = (seed, epoch, samples)
        if self._added_draws is None or self._added_draws[0] != key:
            draws = {}
            for name, item in self.added.items():
                drawn = item.draw(epoch_generator(seed, epoch, named_stream(name)), samples)
                if not isinstance(drawn, np.ndarray) or drawn.shape[:1] != (samples,):
                    raise UserError(
                        f"data.augment.{name}: draw() of {type(item).__module__} must return an array with a"
                        f" row for each of {samples} samples."
                    )
                if name == self._crop_name and self.config.crop_group_size > 1:
                    drawn = drawn[_crop_groups(seed, epoch, samples, self.config.crop_group_size)]
                draws[name] = drawn
            if self.mixing is not None:
                draws |= self.mixing.draw_choice(seed, epoch, samples)
            self._added_draws = (key, draws)
        return self._added_draws[1]

    def random(
        self, images: Tensor, params: AugmentationParams, epoch: int, dtype: torch.dtype = torch.float32
    ) -> Tensor:
        """Return randomly augmented crops for training. `params` has a row for each image."""
        last = self.config.color_until_epoch
        shifts = None
        if self.config.color and (last is None or epoch < last):
            exact = torch.promote_types(dtype, torch.float32)
            shifts = move_to_device(self.color_shifts(params, exact), images.device)[:, :, None, None]
        if images.device.type != "cpu":
            return self._random(images, params, shifts, dtype).to(dtype)
        result = torch.empty(len(images), 3, self.size, self.size, dtype=dtype)
        step = max(1, CPU_CHUNK // result[0].numel())
        for start in range(0, len(images), step):
            rows = slice(start, start + step)
            chunk_shifts = None if shifts is None else shifts[rows]
            result[rows] = self._random(images[rows], params.of(rows), chunk_shifts, dtype)
        return result

    def color_shifts(self, params: AugmentationParams, dtype: torch.dtype) -> Tensor:
        """Return the shifts of red, green and blue of each image, (N, 3), computed on the CPU.

        The products are added one by one, those of the shortest axis first. The rounding of a matrix product
        depends on the number of rows, so that an image's pixels would depend on its batch.
        """
        lengths = torch.from_numpy(params.colors).to(dtype) * self.config.color_std
        axes = self.color_axes.to(dtype)
        first, second, third = (lengths[:, axis, None] * axes[:, axis] for axis in range(3))
        return third + second + first

    def _random(
        self, images: Tensor, params: AugmentationParams, shifts: Tensor | None, dtype: torch.dtype
    ) -> Tensor:
        pixels = self.crop_and_flip(images, params)
        draws = {name: params.added_on(name, images.device) for name in self.added}
        for name, item in self.added.items():
            pixels = item.change_pixels(pixels, draws[name])
        x = self._subtract_mean(pixels, dtype)
        if shifts is not None:
            x += shifts
            if self.config.color_scale is ColorScale.standard_deviation:
                # 2012 source, convdata.py:205: training and test images then have the same scale
                x /= 1 + self.config.color_std
        for name, item in self.added.items():
            x = item.change_inputs(x, draws[name])
        return x

    def crop_and_flip(self, images: Tensor, params: AugmentationParams) -> Tensor:
        """Crop and flip images at random, (N, 3, size, size) uint8."""
        if self._crop_name is not None:
            cropping = cast(CropAugmentationConfig, self.added[self._crop_name])
            draws = params.added_on(self._crop_name, images.device)
            return self._flip(cropping.crop(images, draws, self.size), params.flips & self.config.flip)
        corners = np.full((len(images), 2), self.margin // 2)
        if self.config.crop:
            # margin + 1 positions along each side (2012 source, convdata.py:253)
            corners = (params.corners * (self.margin + 1)).astype(np.int64)
        flips = params.flips & self.config.flip
        if images.device.type == "cpu":
            return self._slice_each(images, corners, flips)
        return self._gather(images, corners, flips)

    def _slice_each(self, images: Tensor, corners: NDArray[np.int64], flips: NDArray[np.bool_]) -> Tensor:
        """Crop images one by one: on a CPU ten times as fast as gathering pixel by pixel."""
        crops = [
            image[:, top : top + self.size, left : left + self.size]
            for image, (top, left) in zip(images, corners.tolist(), strict=True)
        ]
        return torch.stack([crop.flip(2) if flip else crop for crop, flip in zip(crops, flips, strict=True)])

    def _gather(self, images: Tensor, corners: NDArray[np.int64], flips: NDArray[np.bool_]) -> Tensor:
        """Crop all images at once, in few kernel launches, for accelerators."""
        device = images.device
        # a view of the crops at all positions, from which each image's is taken
        windows = images.unfold(2, self.size, 1).unfold(3, self.size, 1)
        sample = torch.arange(len(images), device=device)
        top, left = move_to_device(torch.from_numpy(corners), device).unbind(1)
        return self._flip(windows[sample, :, top, left], flips)

    @staticmethod
    def _flip(crops: Tensor, flips: NDArray[np.bool_]) -> Tensor:
        chosen = move_to_device(torch.from_numpy(flips), crops.device)[:, None, None, None]
        return torch.where(chosen, crops.flip(3), crops)
