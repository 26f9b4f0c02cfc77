"""Crops of different sizes, resized to one size: bilinear with antialiasing, as PyTorch's `interpolate`."""

import math

import torch
from torch import Tensor
from torchvision.transforms.v2 import functional

from alexnet.data.boxes import PixelBoxes


def crop_and_resize(images: Tensor, boxes: PixelBoxes, size: int) -> Tensor:
    """Return the boxes in images (N, 3, S, S), resized to (N, 3, size, size), all uint8.

    On a CPU one by one, for which PyTorch has fast kernels; on an accelerator all at once, in few kernel
    launches. The two differ by at most one grey level.
    """
    if images.device.type == "cpu":
        return _one_by_one(images, boxes, size)
    return _all_at_once(images, boxes, size)


def _one_by_one(images: Tensor, boxes: PixelBoxes, size: int) -> Tensor:
    rows = torch.cat(boxes, 1).int().tolist()
    crops = (
        functional.resized_crop(image, top, left, height, width, [size, size])
        for image, (top, left, height, width) in zip(images, rows, strict=True)
    )
    return torch.stack(list(crops))


def _all_at_once(images: Tensor, boxes: PixelBoxes, size: int) -> Tensor:
    """Resize columns, then rows: sums of neighbours in a fixed order, the same in a batch of any size."""
    side = images.shape[-1]
    indices, weights = _neighbours(boxes.left, boxes.width, size, side)
    shape = (len(images), 3, side, size)
    resized = torch.zeros(shape, device=images.device)
    for index, weight in zip(indices.unbind(-1), weights.unbind(-1), strict=True):
        resized += images.gather(3, index[:, None, None].expand(shape)) * weight[:, None, None]
    indices, weights = _neighbours(boxes.top, boxes.height, size, side)
    shape = (len(images), 3, size, size)
    result = torch.zeros(shape, device=images.device)
    for index, weight in zip(indices.unbind(-1), weights.unbind(-1), strict=True):
        result += resized.gather(2, index[:, None, :, None].expand(shape)) * weight[:, None, :, None]
    return result.round_().clamp_(0, 255).to(torch.uint8)


def _neighbours(start: Tensor, length: Tensor, size: int, side: int) -> tuple[Tensor, Tensor]:
    """Return the pixels from which each of `size` new ones is made, and their weights, (N, size, K).

    The pixels `start` to `start + length`, both (N, 1), of `side` are resized. The weights are those of a
    triangle as wide as a new pixel, and at least two old ones.
    """
    scale = length / size
    support = scale.clamp(min=1)
    middle = (torch.arange(size, device=start.device) + 0.5) * scale
    count = math.ceil(2 * max(1.0, side / size)) + 1
    first = (middle - support + 0.5).floor()
    pixel = first[..., None] + torch.arange(count, device=start.device)
    weights = (1 - (pixel + 0.5 - middle[..., None]).abs() / support[..., None]).clamp_(min=0)
    weights *= (pixel >= 0) & (pixel < length[..., None])
    indices = start[..., None] + pixel.clamp_(min=0).minimum(length[..., None] - 1)
    return indices.long(), weights / weights.sum(-1, keepdim=True)
