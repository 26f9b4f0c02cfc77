"""TrivialAugment against torchvision's, every change with every strength and sign."""

from itertools import product

import numpy as np
import pytest
import torch
from test_augmentation import IMAGES, augmentation, config, same_in_any_batch
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import TrivialAugmentWide, functional

from alexnet.data.augmentations.trivial_augment import TrivialAugmentConfig
from alexnet.data.trivial_changes import BINS, BLENDS, GEOMETRY, Change, change_each, parameters

ALL = np.array(list(product(Change, range(BINS), (False, True))))
SIDE = 45
# of the whole range, of few colours, and all of one
RNG = np.random.default_rng(0)
PICTURES = [
    RNG.integers(0, 256, (3, SIDE, SIDE), dtype=np.uint8),
    (RNG.integers(3, 7, (3, SIDE, SIDE)) * 20).astype(np.uint8),
    np.full((3, SIDE, SIDE), 131, np.uint8),
]


def by_torchvision(picture: torch.Tensor, change: int, strength: int, negative: bool) -> torch.Tensor:
    name = "".join(part.capitalize() for part in Change(change).name.split("_"))
    augment = TrivialAugmentWide()
    magnitudes, signed = augment._AUGMENTATION_SPACE[name]
    table = magnitudes(BINS, SIDE, SIDE)
    magnitude = 0.0 if table is None else float(table[strength]) * (-1 if signed and negative else 1)
    if name.startswith("Translate"):
        magnitude = round(magnitude, 5)  # 16 pixels are 15.999999 in float32, of which 15 would be left
    if name == "Solarize":  # 119 is 119.00001 there
        return functional.solarize(picture, round(255 * magnitude, 3))
    return augment._apply_image_or_video_transform(
        picture, name, magnitude, interpolation=InterpolationMode.NEAREST, fill={torch.Tensor: None}
    )


@pytest.mark.parametrize("picture", PICTURES, ids=["noise", "few colours", "one colour"])
def test_is_torchvisions(picture: np.ndarray) -> None:
    image = torch.from_numpy(picture)
    changes, bins, negative = ALL.T
    values = parameters(changes, bins, negative.astype(bool)).astype(np.float32)
    batch = image.expand(len(ALL), -1, -1, -1)
    actual = change_each(batch, torch.from_numpy(changes), torch.from_numpy(values))
    assert actual.dtype == torch.uint8
    for row, (change, strength, sign) in zip(actual, ALL.tolist(), strict=True):
        expected = by_torchvision(image, change, strength, bool(sign))
        difference = (row.int() - expected.int()).abs()
        where = f"{Change(change).name}, strength {strength}, {'-' if sign else '+'}"
        if change in GEOMETRY:  # a place in the middle of two pixels may be rounded to either
            assert (difference > 0).any(0).float().mean() < 0.004, where
        elif change in BLENDS:  # fractions are cut off, and rounded otherwise before
            assert difference.max() <= 1, where
            assert picture is not PICTURES[0] or (difference > 0).float().mean() < 0.1, where
        else:
            assert difference.max() == 0, where


def test_the_form_for_accelerators(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run on the CPU: all changes of all images, of which each keeps its own."""

    class Elsewhere(torch.Tensor):
        device = torch.device("meta")  # type: ignore[assignment]

    images = torch.from_numpy(np.random.default_rng(1).integers(0, 256, (60, 3, 20, 20), dtype=np.uint8))
    draws = torch.from_numpy(TrivialAugmentConfig(True).draw(np.random.default_rng(2), 60))
    expected = change_each(images, draws[:, 0], draws[:, 1])
    seen = images.as_subclass(Elsewhere)
    monkeypatch.setattr(torch, "arange", lambda side, device, arange=torch.arange: arange(side))
    assert torch.equal(change_each(seen, draws[:, 0], draws[:, 1]).as_subclass(torch.Tensor), expected)
    assert not torch.equal(expected, images)


def test_all_changes_and_strengths_are_as_probable() -> None:
    draws = TrivialAugmentConfig(True).draw(np.random.default_rng(0), 28_000)
    assert np.bincount(draws[:, 0].astype(int), minlength=14) == pytest.approx(2000, rel=0.08)
    rotated = draws[draws[:, 0] == Change.rotate, 1]
    assert len(np.unique(rotated.round(6))) == 2 * BINS - 1
    assert np.degrees([rotated.min(), rotated.max()]) == pytest.approx([-135, 135])


def test_an_image_is_the_same_in_any_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = config("trivial_augment.enabled=true")
    monkeypatch.setattr("test_augmentation.PARAMS", augmentation(settings).params(0, 0, IMAGES))
    same_in_any_batch(
        settings, lambda made, images, params, dtype: made.random(images, params, 0, dtype), torch.float32
    )
