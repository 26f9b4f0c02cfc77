"""Random erasing against torchvision's, whose random numbers are ours."""

import numpy as np
import pytest
import torch
from test_augmentation import CROP, IMAGES, PIXELS, augmentation, config
from torchvision.transforms import v2
from torchvision.transforms.v2 import _augment

from alexnet.data.augmentations.random_erasing import RandomErasingConfig
from test_config import mistake

SIDE = 50


def numbers_of(seed: int, samples: int, erasing: RandomErasingConfig) -> tuple[np.ndarray, ...]:
    """The random numbers in the order in which they are drawn."""
    rng = np.random.default_rng(seed)
    logs = np.log(erasing.ratio)
    attempts = [(rng.uniform(*erasing.scale, samples), rng.uniform(*logs, samples)) for _ in range(10)]
    return np.array(attempts), rng.random((samples, 2)), rng.random(samples)


def test_is_torchvisions(monkeypatch: pytest.MonkeyPatch) -> None:
    """From the same numbers; but torchvision draws again where a box is as long as the image."""
    erasing = RandomErasingConfig(0.5)
    draws = erasing.draw(np.random.default_rng(3), 200)
    images = torch.from_numpy(np.random.default_rng(0).normal(size=(200, 3, SIDE, SIDE)))
    actual = erasing.change_inputs(images, torch.from_numpy(draws))
    attempts, corners, coins = numbers_of(3, 200, erasing)
    transform, compared = v2.RandomErasing(1.0, erasing.scale, erasing.ratio), 0
    for sample, image in enumerate(images):
        uniform, integer = iter(attempts[:, :, sample].ravel()), iter(corners[sample])
        with monkeypatch.context() as patched:
            patched.setattr(torch.Tensor, "uniform_", lambda *_: torch.tensor([next(uniform)]))  # noqa: B023
            patched.setattr(
                _augment.torch,
                "randint",
                lambda low, high, size: torch.tensor([int(next(integer) * (high - low) + low)]),  # noqa: B023
            )
            parameters = transform.make_params([image])
        if (np.round(draws[sample, :2] * SIDE) == SIDE).any():
            continue
        expected = transform.transform(image, parameters) if coins[sample] < 0.5 else image
        assert torch.equal(actual[sample], expected)
        compared += coins[sample] < 0.5
    assert compared > 80


def test_erases_the_mean_in_training() -> None:
    made = augmentation(config("random_erasing.p=1"))
    plain = augmentation(config())
    params, before = made.params(0, 0, IMAGES), plain.params(0, 0, IMAGES)
    changed = made.random(torch.from_numpy(PIXELS), params, 0)
    unchanged = plain.random(torch.from_numpy(PIXELS), before, 0)
    erased = (changed == 0).all(1)
    assert torch.equal(torch.where(erased[:, None], 0, unchanged), changed)
    areas = erased.float().mean((1, 2))
    assert areas.min() > 0.015 and areas.max() <= 0.42 + 2 / CROP
    assert areas.max() > 0.25


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("p=-1", "random_erasing.p=-1.0: expected a fraction of the images"),
        ("scale=[0.5,2]", "random_erasing.scale=[0.5, 2.0]: expected two fractions"),
    ],
)
def test_mistakes(typed: str, told: str) -> None:
    assert told in mistake(f"data.augment.random_erasing.{typed}")
