"""Augmentation in batches against one image at a time in numpy."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch

from alexnet.config import AugmentationConfig, AugmentConfig, ColorScale, MeanKind
from alexnet.config.data import AUGMENTATIONS
from alexnet.data.augmentation import Augmentation, epoch_augmentation_params
from alexnet.data.augmentation_params import AugmentationParams
from alexnet.data.sampling import RandomStream, epoch_generator
from alexnet.data.statistics import Statistics, color_axes, mean_image
from alexnet.errors import UserError
from conftest import compose_config

STORED, CROP, IMAGES = 40, 33, 50
RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (IMAGES, 3, STORED, STORED), dtype=np.uint8)
STATISTICS = Statistics(
    RNG.uniform(0, 255, (3, STORED, STORED)).astype(np.float32),
    np.linalg.qr(RNG.normal(size=(3, 3)))[0].astype(np.float32),
    np.array([14831.0, 1376.0, 389.0], np.float32),  # K2's table for ImageNet, squared
)
PARAMS = AugmentationParams(
    RNG.random((IMAGES, 2)),
    RNG.random(IMAGES) < 0.5,
    RNG.standard_normal((IMAGES, 3)).astype(np.float32),
    RNG.integers(0, 2**32, IMAGES, np.uint32),
)


def config(*overrides: str) -> AugmentConfig:
    return compose_config(*(f"data.augment.{override}" for override in overrides)).data.augment


def augmentation(settings: AugmentConfig) -> Augmentation:
    axes = color_axes(STATISTICS, settings.color_scale)
    return Augmentation(settings, CROP, mean_image(STATISTICS, MeanKind.pixel), axes)


def reference(settings: AugmentConfig, epoch: int = 0) -> np.ndarray:
    """Augment as in the paper, one image at a time."""
    results = []
    border = (STORED - CROP) // 2
    mean = STATISTICS.mean[:, border : border + CROP, border : border + CROP].astype(np.float64)
    for image, corner, flip, color, _ in zip(PIXELS, *PARAMS[:4], strict=True):
        top, left = (int(c * (STORED - CROP + 1)) for c in corner) if settings.crop else (border, border)
        crop = image[:, top : top + CROP, left : left + CROP].astype(np.float64)
        if settings.flip and flip:
            crop = crop[:, :, ::-1]
        x = crop - mean
        if settings.color and (settings.color_until_epoch is None or epoch < settings.color_until_epoch):
            for component in range(3):
                value = float(STATISTICS.eigenvalues[component])
                length = (
                    np.sqrt(value) if settings.color_scale is ColorScale.standard_deviation else value / 255
                )
                x += (0.1 * color[component] * length * STATISTICS.eigenvectors[:, component])[:, None, None]
            if settings.color_scale is ColorScale.standard_deviation:
                x /= 1.1
        results.append(x)
    return np.stack(results)


@pytest.mark.parametrize(
    "overrides",
    [
        [],
        ["crop=false"],
        ["flip=false"],
        ["color=false"],
        ["color_scale=eigenvalue"],
        ["crop=false", "flip=false", "color=false"],
    ],
)
def test_equals_one_image_at_a_time(overrides: list[str]) -> None:
    settings = config(*overrides)
    actual = augmentation(settings).random(torch.from_numpy(PIXELS), PARAMS, 0, torch.float64)
    np.testing.assert_allclose(actual.numpy(), reference(settings), rtol=1e-5, atol=1e-4)


def test_half_precision_is_the_exact_result_rounded() -> None:
    made, images = augmentation(config()), torch.from_numpy(PIXELS)
    for crops in (partial(made.random, images, PARAMS, 0), partial(made.center, images)):
        assert torch.equal(crops(torch.bfloat16), crops(torch.float32).bfloat16())


@pytest.mark.parametrize("overrides", [[], ["crop=false"], ["flip=false"]])
def test_accelerators_crop_as_the_cpu_does(overrides: list[str]) -> None:
    """The form for accelerators, run on the CPU, against the form for the CPU."""
    made = augmentation(config(*overrides))
    corners = (PARAMS.corners * (STORED - CROP + 1)).astype(np.int64)
    images = torch.from_numpy(PIXELS)
    expected = made._slice_each(images, corners, PARAMS.flips)
    assert torch.equal(made._gather(images, corners, PARAMS.flips), expected)
    assert expected.dtype == torch.uint8


@pytest.mark.parametrize("size", [1, 2, 3, 7, 128, 1000])
@pytest.mark.parametrize("scale", list(ColorScale))
@pytest.mark.parametrize(("dtype", "exact"), [(torch.float32, np.float32), (torch.float64, np.float64)])
def test_colours_are_an_explicit_sum(
    dtype: torch.dtype, exact: type[np.floating[Any]], scale: ColorScale, size: int
) -> None:
    """Bit for bit three products in one order, in a batch of any size: no processor's matrix product is."""
    made = augmentation(config(f"color_scale={scale.value}"))
    colors = np.random.default_rng(1).standard_normal((1000, 3), dtype=np.float32)
    params = AugmentationParams(
        np.zeros((1000, 2)), np.zeros(1000, np.bool_), colors, np.zeros(1000, np.uint32)
    )
    scaled, axes = colors.astype(exact) * exact(made.config.color_std), made.color_axes.numpy().astype(exact)
    expected = np.empty((1000, 3), exact)
    for row in range(1000):
        for channel in range(3):
            first, second, third = (scaled[row, axis] * axes[channel, axis] for axis in range(3))
            expected[row, channel] = (third + second) + first
    parts = [slice(start, start + size) for start in range(0, 1000, size)]
    actual = torch.cat([made.color_shifts(params.of(part), dtype) for part in parts])
    assert actual.numpy().dtype == exact
    np.testing.assert_array_equal(actual.numpy(), expected)


Form = Callable[[Augmentation, torch.Tensor, AugmentationParams, torch.dtype], torch.Tensor]
FORMS: dict[str, Form] = {
    "random": lambda made, images, params, dtype: made.random(images, params, 0, dtype),
    "center": lambda made, images, params, dtype: made.center(images, dtype),
    "ten": lambda made, images, params, dtype: made.ten(images, dtype),
}


def same_in_any_batch(settings: AugmentConfig, form: Form, dtype: torch.dtype, device: str = "cpu") -> None:
    """Check that an image's pixels are the same bits alone and in batches of several sizes."""
    made, images = augmentation(settings), torch.from_numpy(PIXELS).to(device)
    whole = form(made, images, PARAMS, dtype)
    for size in (1, 2, 3, 7, 32):
        parts = [slice(start, start + size) for start in range(0, IMAGES, size)]
        cut = torch.cat([form(made, images[part], PARAMS.of(part), dtype) for part in parts])
        assert torch.equal(cut, whole)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("scale", list(ColorScale))
@pytest.mark.parametrize("form", FORMS)
def test_an_image_is_the_same_in_any_batch(form: str, scale: ColorScale, dtype: torch.dtype) -> None:
    same_in_any_batch(config(f"color_scale={scale.value}"), FORMS[form], dtype)


def test_an_image_is_the_same_in_any_batch_of_an_accelerator(monkeypatch: pytest.MonkeyPatch) -> None:
    """The form for accelerators, run on the CPU."""
    monkeypatch.setattr(Augmentation, "_slice_each", Augmentation._gather)
    same_in_any_batch(config(), FORMS["random"], torch.float32)


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("form", FORMS)
def test_an_image_is_the_same_in_any_batch_of_a_gpu(form: str, dtype: torch.dtype) -> None:
    same_in_any_batch(config(), FORMS[form], dtype, "cuda")


@pytest.mark.gpu
@pytest.mark.parametrize("overrides", [[], ["crop=false"], ["color_scale=eigenvalue"]])
def test_gpu_equals_cpu(overrides: list[str]) -> None:
    made, images = augmentation(config(*overrides)), torch.from_numpy(PIXELS)
    for dtype, tolerance in ((torch.float32, 1e-3), (torch.float64, 1e-10)):
        on_cpu = made.random(images, PARAMS, 0, dtype)
        on_gpu = made.random(images.cuda(), PARAMS, 0, dtype)
        torch.testing.assert_close(on_gpu.cpu(), on_cpu, rtol=0, atol=tolerance)
        torch.testing.assert_close(made.center(images.cuda(), dtype).cpu(), made.center(images, dtype))


def test_all_crops_are_reached() -> None:
    """33 * 33 positions of 224 in 256, as in the 2012 program."""
    margin = 32
    corners = (np.array([0.0, 0.5, 1 - 1e-12]) * (margin + 1)).astype(int)
    assert corners.tolist() == [0, 16, 32]


def test_colour_noise_in_both_readings() -> None:
    """Standard deviation along the first component, in grey levels: 12.2 in 2012, about 5.8 in ports."""
    deviations = color_axes(STATISTICS, ColorScale.standard_deviation).norm(dim=0) * 0.1
    eigenvalues = color_axes(STATISTICS, ColorScale.eigenvalue).norm(dim=0) * 0.1
    assert deviations.tolist() == pytest.approx([12.18, 3.71, 1.97], abs=0.01)
    assert eigenvalues.tolist() == pytest.approx([5.82, 0.54, 0.15], abs=0.01)


def test_colour_noise_ends() -> None:
    settings = config("color_until_epoch=3")
    images = torch.from_numpy(PIXELS)
    for epoch in (2, 3):
        actual = augmentation(settings).random(images, PARAMS, epoch, torch.float64).numpy()
        np.testing.assert_allclose(actual, reference(settings, epoch), rtol=1e-5, atol=1e-4)


def test_center() -> None:
    actual = augmentation(config()).center(torch.from_numpy(PIXELS), torch.float64)
    expected = PIXELS[:, :, 3:36, 3:36] - STATISTICS.mean[:, 3:36, 3:36].astype(np.float64)
    np.testing.assert_allclose(actual.numpy(), expected, rtol=1e-6)


def test_ten_crops() -> None:
    actual = augmentation(config()).ten(torch.from_numpy(PIXELS), torch.float64).numpy()
    mean = STATISTICS.mean[:, 3:36, 3:36].astype(np.float64)
    assert actual.shape == (IMAGES, 10, 3, CROP, CROP)
    for image, crops in zip(PIXELS, actual, strict=True):
        expected = []
        for top, left in ((0, 0), (0, 7), (7, 0), (7, 7), (3, 3)):
            expected.append(image[:, top : top + 33, left : left + 33] - mean)
        for top, left in ((0, 0), (0, 7), (7, 0), (7, 7), (3, 3)):
            expected.append(image[:, top : top + 33, left : left + 33][:, :, ::-1] - mean)
        np.testing.assert_allclose(crops, np.stack(expected), rtol=1e-6)


def test_means() -> None:
    assert torch.equal(mean_image(STATISTICS, MeanKind.pixel), torch.from_numpy(STATISTICS.mean))
    channel = mean_image(STATISTICS, MeanKind.channel)
    assert channel.shape == (3, STORED, STORED)
    np.testing.assert_allclose(channel[:, 0, 0], STATISTICS.mean.mean((1, 2)), rtol=1e-5)
    assert mean_image(STATISTICS, MeanKind.zero).abs().sum() == 0


@dataclass
class Noise(AugmentationConfig):
    """Records what it draws and gets."""

    active: bool = True  # type: ignore[assignment]
    seen: list[Any] = field(default_factory=list)

    def draw(self, generator: np.random.Generator, samples: int) -> np.ndarray:
        return generator.random((samples, 2))

    def change_pixels(self, images: torch.Tensor, draws: torch.Tensor) -> torch.Tensor:
        self.seen.append((images.clone(), draws.clone()))
        return 255 - images

    def change_inputs(self, images: torch.Tensor, draws: torch.Tensor) -> torch.Tensor:
        return 2 * images


@pytest.fixture
def noise(monkeypatch: pytest.MonkeyPatch) -> tuple[Augmentation, Noise]:
    """An augmentation with one that another module has registered."""
    monkeypatch.setitem(AUGMENTATIONS._choices, "noise", Noise)
    settings: Any = AUGMENTATIONS.extend(AugmentConfig)(**vars(config()))
    return augmentation(settings), settings.noise


def test_an_added_augmentation_draws_from_a_stream_of_its_own(noise: tuple[Augmentation, Noise]) -> None:
    """A function of seed, epoch and sample, equal to no other stream's, which stay as they are."""
    made, _ = noise
    epochs = {(seed, epoch): made.params(seed, epoch, 50) for seed in (0, 1) for epoch in (0, 1)}
    drawn = [params.added["noise"] for params in epochs.values()]
    for (seed, epoch), params in epochs.items():
        before = epoch_augmentation_params(seed, epoch, 50, made.config.crop_group_size)
        for ours, theirs in zip(params[:4], before[:4], strict=True):
            np.testing.assert_array_equal(ours, theirs)
        np.testing.assert_array_equal(made.params(seed, epoch, 50).added["noise"], params.added["noise"])
        for stream in RandomStream:
            drawn.append(epoch_generator(seed, epoch, stream).random((50, 2)))
    assert len({values.tobytes() for values in drawn}) == len(drawn)


def test_an_added_augmentation_gets_the_rows_of_its_images(noise: tuple[Augmentation, Noise]) -> None:
    """In chunks on the CPU, and in the place that each method is for."""
    made, added = noise
    params = made.params(0, 0, 10).of(np.array([7, 3, 5, 0, 9]))
    images = torch.from_numpy(PIXELS[[0, 1, 2, 0, 1]])
    changed = made.random(images, params, 0)
    pixels = torch.cat([pixels for pixels, _ in added.seen])
    np.testing.assert_array_equal(torch.cat([rows for _, rows in added.seen]), params.added["noise"])
    assert torch.equal(pixels, made.crop_and_flip(images, params))
    shifts = made.color_shifts(params, torch.float32)[:, :, None, None]
    expected = 2 * ((255 - pixels.float() - made.mean + shifts) / (1 + made.config.color_std))
    torch.testing.assert_close(changed, expected, rtol=1e-5, atol=1e-4)


def test_an_added_augmentation_that_does_not_draw_for_each_sample(noise: tuple[Augmentation, Noise]) -> None:
    made, added = noise
    added.draw = lambda generator, samples: generator.random(3)  # type: ignore[method-assign]
    with pytest.raises(UserError, match=r"data\.augment\.noise: draw\(\) of .*a row for each of 10 samples"):
        made.params(0, 0, 10)
