"""Features against plain numpy; their extraction against a plain loop."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hand_made import hand_made
from numpy.typing import NDArray

from alexnet.classical.extraction import CHUNK, FeatureExtractor
from alexnet.classical.features import (
    color_histogram,
    compute_features,
    downscale,
    feature_length,
    oriented_gradients,
)
from alexnet.config import Features, HandMadeConfig
from alexnet.data.dataset import ImageDataset
from alexnet.data.image import ImageError
from alexnet.errors import UserError


def noise(*shape: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def gradients_by_hand(image: NDArray[np.uint8], config: HandMadeConfig) -> NDArray[np.float64]:
    """Compute Dalal & Triggs' features by loops over pixels, cells and blocks."""
    pixels = image.astype(float)
    side, size = config.pixels_per_cell, config.image_size
    cells = np.zeros((size // side, size // side, config.orientations))
    for row in range(size):
        for column in range(size):
            steps = []
            for channel in pixels:
                down = channel[row + 1, column] - channel[row - 1, column] if 0 < row < size - 1 else 0.0
                right = channel[row, column + 1] - channel[row, column - 1] if 0 < column < size - 1 else 0.0
                steps.append((np.hypot(down, right), down, right))
            strength, down, right = max(steps, key=lambda step: step[0])
            angle = np.degrees(np.arctan2(down, right)) % 180
            bin_ = min(int(angle / (180 / config.orientations)), config.orientations - 1)
            cells[row // side, column // side, bin_] += strength / side**2
    blocks = []
    wide = config.cells_per_block
    for row in range(len(cells) - wide + 1):
        for column in range(len(cells) - wide + 1):
            block = cells[row : row + wide, column : column + wide].ravel()
            block = np.minimum(block / np.sqrt((block**2).sum() + 1e-10), 0.2)  # L2-Hys
            blocks.append(block / np.sqrt((block**2).sum() + 1e-10))
    return np.concatenate(blocks)


def test_oriented_gradients_equal_plain_loops() -> None:
    config, image = hand_made(), noise(3, 16, 16)
    features = oriented_gradients(image, config)
    assert features.shape == (3 * 3 * 2 * 2 * 9,)
    np.testing.assert_allclose(features, gradients_by_hand(image, config), atol=1e-6)


def test_an_edge_is_in_its_direction() -> None:
    """Black left, white right: the gradient is horizontal, in the first of nine bins."""
    image = np.zeros((3, 16, 16), np.uint8)
    image[:, :, 8:] = 255
    cells = oriented_gradients(image, hand_made()).reshape(-1, 9)
    assert cells[:, 0].max() > 0.4
    assert cells[:, 1:].max() == 0


def test_colors_equal_numpys_histogram() -> None:
    image = noise(3, 16, 16)
    expected, _ = np.histogramdd(image.reshape(3, -1).T, bins=4, range=[(0, 256)] * 3)
    np.testing.assert_allclose(color_histogram(image, 4), np.sqrt(expected.ravel() / 256))
    assert (color_histogram(image, 4) ** 2).sum() == pytest.approx(1)


@pytest.mark.parametrize(("features", "length"), [("hog", 324), ("color", 64), ("hog_and_color", 388)])
def test_each_choice_of_features(features: str, length: int) -> None:
    config = hand_made(features=Features(features))
    computed = compute_features(noise(2, 3, 16, 16), config)
    assert (computed.shape, computed.dtype, feature_length(config)) == ((2, length), np.float32, length)
    assert compute_features(noise(0, 3, 16, 16), config).shape == (0, length)


def test_downscaling_averages() -> None:
    """A pattern of single pixels becomes grey, where a sample of them would be black or white."""
    image = np.zeros((3, 64, 64), np.uint8)
    image[:, ::2, ::2] = image[:, 1::2, 1::2] = 255
    image[2] = 10
    small = downscale(image, 16)
    assert small.shape == (3, 16, 16)
    assert abs(small[:2, 2:-2, 2:-2].astype(int) - 127).max() <= 2
    assert (small[2] == 10).all()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"image_size": 7}, "classical.image_size=7: expected at least a block of 2 cells, 8 pixels."),
        ({"orientations": 0}, "classical.orientations=0"),
        ({"alpha": 0.0}, "classical.alpha=0.0: expected a number above 0"),
        ({"color_bins": 1}, "classical.color_bins=1"),
    ],
)
def test_invalid_values(given: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        hand_made(**given)


class Noise(ImageDataset):
    """Random images, of which some do not decode."""

    def __init__(self, count: int, broken: tuple[int, ...] = ()) -> None:
        super().__init__(np.arange(count) % 7)
        self.broken, self.pixels = broken, noise(count, 3, 32, 32)

    def path(self, index: int) -> str:
        return f"{index}.jpg"

    def _read(self, index: int, out: NDArray[np.uint8]) -> None:
        if index in self.broken:
            raise ImageError("broken")
        out[...] = self.pixels[index]


@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=pytest.mark.slow)])
def test_extraction_equals_a_plain_loop(tmp_path: Path, workers: int) -> None:
    """In order, over several chunks, without those that do not decode; no file is left."""
    broken = (0, 5, CHUNK + 1)
    images, config = Noise(2 * CHUNK + 3, broken), hand_made()
    checks = []
    extractor = FeatureExtractor(config, 32, workers, tmp_path, lambda: checks.append(1))
    matrix = extractor.extract(images, "training")
    kept = [index for index in range(len(images)) if index not in broken]
    assert matrix.labels.tolist() == [index % 7 for index in kept]
    expected = np.concatenate(
        [compute_features(downscale(images.pixels[index], 16)[None], config) for index in kept]
    )
    np.testing.assert_array_equal(matrix.features, expected)
    assert set(images.unreadable) == {"0.jpg", "5.jpg", f"{CHUNK + 1}.jpg"}
    assert len(checks) == 3
    assert list(tmp_path.iterdir()) == []


def test_check_ends_the_extraction(tmp_path: Path) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        FeatureExtractor(hand_made(), 32, 0, tmp_path, stop).extract(Noise(3), "training")


def test_no_readable_image(tmp_path: Path) -> None:
    extractor = FeatureExtractor(hand_made(), 32, 0, tmp_path, lambda: None)
    matrix = extractor.extract(Noise(2, (0, 1)), "training")
    assert matrix.features.shape == (0, 388)
