"""Random resized crops against Pillow, and their boxes against a plain loop."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from test_augmentation import (
    CROP,
    IMAGES,
    PIXELS,
    STATISTICS,
    STORED,
    augmentation,
    config,
    same_in_any_batch,
)

from alexnet.config import AugmentConfig
from alexnet.config.data import AUGMENTATIONS
from alexnet.data.augmentations.random_resized_crop import RandomResizedCropConfig
from alexnet.data.boxes import pixel_boxes
from alexnet.data.resampling import _all_at_once, _one_by_one
from alexnet.data.sampling import epoch_order
from alexnet.errors import UserError
from test_config import mistake

ON = "random_resized_crop.enabled=true"


def loop(seed: int, samples: int, scale: list[float], ratio: list[float], side: int) -> list[list[int]]:
    """Boxes (top, left, height, width), one sample at a time, of the same random numbers."""
    rng = np.random.default_rng(seed)
    attempts = [
        (rng.uniform(*scale, samples), rng.uniform(math.log(ratio[0]), math.log(ratio[1]), samples))
        for _ in range(10)
    ]
    corners = rng.random((samples, 2))
    boxes = []
    for sample in range(samples):
        for area, log_ratio in attempts:
            aspect = math.exp(log_ratio[sample])
            width, height = math.sqrt(area[sample] * aspect), math.sqrt(area[sample] / aspect)
            if width <= 1 and height <= 1:
                break
        else:
            nearest = ratio[0] if ratio[0] > 1 else ratio[1] if ratio[1] < 1 else 1.0
            width, height = (1.0, 1 / nearest) if nearest > 1 else (nearest, 1.0)
        width, height = max(1, round(width * side)), max(1, round(height * side))
        top, left = (
            math.floor(u * (side - length + 1))
            for u, length in zip(corners[sample], (height, width), strict=True)
        )
        boxes.append([top, left, height, width])
    return boxes


@pytest.mark.parametrize(
    ("scale", "ratio"), [([0.08, 1.0], [3 / 4, 4 / 3]), ([0.9, 1.0], [1.5, 2.0]), ([0.95, 1.0], [0.5, 0.6])]
)
def test_boxes_are_those_of_a_loop(scale: list[float], ratio: list[float]) -> None:
    """Also where no attempt fits: the largest box of the nearest ratio."""
    drawn = RandomResizedCropConfig(True, scale, ratio).draw(np.random.default_rng(3), 300)
    boxes = torch.cat(pixel_boxes(torch.from_numpy(drawn), 97), 1)
    assert boxes.tolist() == loop(3, 300, scale, ratio, 97)


def test_boxes_are_inside() -> None:
    draws = torch.tensor([[0.001, 1.0, 1.0, 1.0], [0.5, 0.5, 1.0, 0.0]])
    assert torch.cat(pixel_boxes(draws, 10), 1).tolist() == [[9, 0, 1, 10], [5, 0, 5, 5]]


@pytest.mark.parametrize(("side", "size"), [(40, 33), (40, 12), (24, 33)])
def test_crops_are_pillows(side: int, size: int) -> None:
    """In both forms, for the CPU and for accelerators, to one grey level."""
    images = np.random.default_rng(0).integers(0, 256, (30, 3, side, side), dtype=np.uint8)
    draws = RandomResizedCropConfig(True).draw(np.random.default_rng(1), 30)
    boxes = pixel_boxes(torch.from_numpy(draws), side)
    expected = []
    for image, (top, left, height, width) in zip(images, torch.cat(boxes, 1).int().tolist(), strict=True):
        crop = Image.fromarray(image.transpose(1, 2, 0)).crop((left, top, left + width, top + height))
        expected.append(np.asarray(crop.resize((size, size), Image.Resampling.BILINEAR)).transpose(2, 0, 1))
    for form in (_one_by_one, _all_at_once):
        actual = form(torch.from_numpy(images), boxes, size)
        assert actual.dtype == torch.uint8
        assert np.abs(actual.numpy().astype(int) - np.stack(expected)).max() <= 1


def test_in_training() -> None:
    """Instead of the other crops, mirrored as they are; the mean is subtracted; the same in any batch."""
    made = augmentation(config(ON, "color=false", "crop=false"))
    params = made.params(0, 0, IMAGES)
    actual = made.random(torch.from_numpy(PIXELS), params, 0).numpy()
    for index in (0, 1, 2, 3):
        box = params.added["random_resized_crop"][index]
        top, left, height, width = (
            int(part) for part in torch.cat(pixel_boxes(torch.from_numpy(box[None]), STORED), 1)[0]
        )
        crop = Image.fromarray(PIXELS[index].transpose(1, 2, 0)).crop((left, top, left + width, top + height))
        expected = np.asarray(crop.resize((CROP, CROP), Image.Resampling.BILINEAR)).transpose(2, 0, 1)
        expected = expected[:, :, ::-1] if params.flips[index] else expected
        expected = expected - STATISTICS.mean[:, 3:36, 3:36]
        np.testing.assert_allclose(actual[index], expected, atol=1.001)
    assert len(set(params.flips[:4])) == 2


@pytest.mark.parametrize("form", [_one_by_one, _all_at_once])
def test_an_image_is_the_same_in_any_batch(form: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("alexnet.data.resampling._one_by_one", form)
    settings = config(ON)
    made = augmentation(settings)
    monkeypatch.setattr("test_augmentation.PARAMS", made.params(0, 0, IMAGES))
    same_in_any_batch(
        settings, lambda made, images, params, dtype: made.random(images, params, 0, dtype), torch.float32
    )


def test_groups_share_a_crop() -> None:
    made = augmentation(config(ON, "crop_group_size=4"))
    order = epoch_order(5, 1, 20)
    boxes = made.params(5, 1, 20).added["random_resized_crop"][order].reshape(5, 4, 4)
    assert (boxes == boxes[:, :1]).all()
    assert len(np.unique(boxes[:, 0], axis=0)) == 5


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("scale=[0,1]", "random_resized_crop.scale=[0.0, 1.0]: expected two fractions"),
        ("scale=[1]", "random_resized_crop.scale=[1.0]: expected two fractions"),
        ("ratio=[2,1]", "random_resized_crop.ratio=[2.0, 1.0]: expected two ratios"),
    ],
)
def test_mistakes(typed: str, told: str) -> None:
    assert told in mistake(f"data.augment.random_resized_crop.{typed}")


def test_one_crop_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(AUGMENTATIONS._choices, "zoom", RandomResizedCropConfig)
    settings: Any = AUGMENTATIONS.extend(AugmentConfig)(**vars(config(ON)))
    settings.zoom.enabled = True
    with pytest.raises(UserError, match="random_resized_crop and zoom both crop"):
        augmentation(settings)
