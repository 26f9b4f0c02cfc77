"""The synthetic data set: ten patterns as JPEG files in ImageNet's folder layout.

A class is a pattern. Its colours, size, position, slant, contrast, illumination, noise, image size and JPEG
quality are random in every image, so that no average colour or single pixel gives the class away.
"""

import colorsys
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from alexnet.data.sources.synthetic import SyntheticConfig
from alexnet.files import PARTIAL
from alexnet.terminal import progress_bar

Field = NDArray[np.floating[Any]]

VERSION = 1  # increase it when the images change, so that old ones are regenerated
HUE_SPREAD = 0.06  # standard deviation around a class's hue, in turns of the colour circle


def _wave(x: Field) -> Field:
    """Return stripes: +1 and -1 with soft edges, one period from 0 to 1."""
    return np.tanh(4 * np.sin(2 * np.pi * x))


def _cell(x: Field) -> Field:
    """Return the position within a unit cell, from -0.5 to 0.5."""
    return x - np.floor(x) - 0.5


def _soft(x: Field) -> Field:
    """Return +1 where x is above 0, -1 below, with a soft edge."""
    return np.tanh(16 * x)


def _plus(u: Field, v: Field) -> Field:
    a, b = np.abs(_cell(u / 1.6)), np.abs(_cell(v / 1.6))
    return _soft(np.where((np.minimum(a, b) < 0.12) & (np.maximum(a, b) < 0.38), 0.1, -0.1))


# a pattern's value from -1 to 1 at (u, v), whose unit is the pattern's period
PATTERNS: dict[str, Callable[[Field, Field], Field]] = {
    "checkerboard": lambda u, v: _wave(u / 2) * _wave(v / 2),
    "diamonds": lambda u, v: _wave((u + v) / 2) * _wave((u - v) / 2),
    "dots": lambda u, v: _soft(0.3 - np.hypot(_cell(u), _cell(v))),
    "grid": lambda u, v: _soft(np.maximum(np.abs(_cell(u)), np.abs(_cell(v))) - 0.38),
    "horizontal_stripes": lambda u, v: _wave(v),
    "pluses": _plus,
    "rays": lambda u, v: np.tanh(4 * np.sin(12 * np.arctan2(v, u))),
    "rings": lambda u, v: _wave(np.hypot(u, v)),
    "vertical_stripes": lambda u, v: _wave(u),
    "zigzag": lambda u, v: _wave(v + 1.2 * np.abs(_cell(u / 2))),
}
CLASSES = tuple(PATTERNS)


def draw(pattern: str, rng: np.random.Generator) -> Image.Image:
    """Draw an image of `pattern`, with sides of 150 to 320 pixels."""
    height, width = (int(side) for side in rng.integers(150, 321, 2))
    y, x = np.mgrid[0:height, 0:width].astype(np.float32) / min(height, width)
    centre_x, centre_y = width / min(height, width) / 2, height / min(height, width) / 2
    dx, dy = x - centre_x + rng.uniform(-0.15, 0.15), y - centre_y + rng.uniform(-0.15, 0.15)

    slant, period = rng.uniform(-0.1, 0.1), rng.uniform(0.12, 0.2)
    u = (dx * np.cos(slant) - dy * np.sin(slant)) / period
    v = (dx * np.sin(slant) + dy * np.cos(slant)) / period
    if pattern not in ("rays", "rings"):  # these two stay centred on their object
        u, v = u + rng.uniform(), v + rng.uniform()
    value = PATTERNS[pattern](u.astype(np.float32), v.astype(np.float32))[..., None]

    dark, light, ground = _colors(pattern, rng)
    surface = dark + (light - dark) * (value + 1) / 2
    radius = rng.uniform(0.5, 0.75)  # the object is a disc or a square on a plain ground
    distance = np.hypot(dx, dy) if rng.random() < 0.5 else np.maximum(np.abs(dx), np.abs(dy))
    inside = (1 + _soft(radius - distance))[..., None] / 2
    picture = ground + (surface - ground) * inside

    tilt = rng.normal(0, 0.2, 2)  # the light comes from one side
    picture *= (1 + tilt[0] * (x - centre_x) + tilt[1] * (y - centre_y))[..., None]
    picture += rng.normal(0, rng.uniform(2, 12), picture.shape)
    return Image.fromarray(picture.clip(0, 255).astype(np.uint8))


def _colors(pattern: str, rng: np.random.Generator) -> tuple[Field, Field, Field]:
    """Draw the dark and light colours of the pattern and that of the ground, RGB.

    As with real objects, a class has preferred hues, which overlap with those of other classes.
    """
    hue = CLASSES.index(pattern) / len(CLASSES) + rng.normal(0, HUE_SPREAD)
    light = colorsys.hsv_to_rgb(hue % 1, rng.uniform(0.4, 1), rng.uniform(0.75, 1))
    dark = colorsys.hsv_to_rgb(rng.uniform(), rng.uniform(0, 1), rng.uniform(0.05, 0.4))
    ground = colorsys.hsv_to_rgb(rng.uniform(), rng.uniform(0, 0.8), rng.uniform(0.1, 1))
    as_field = partial(np.array, dtype=np.float32)
    return as_field(dark) * 255, as_field(light) * 255, as_field(ground) * 255


def _write(job: tuple[str, int, str], seed: int, folder: Path) -> None:
    split, index, pattern = job
    rng = np.random.default_rng([seed, split == "val", index])
    path = folder / split / pattern / f"{split}_{index:05d}.JPEG"
    draw(pattern, rng).save(path, quality=int(rng.integers(70, 96)))


def synthetic_folder(root: Path, config: SyntheticConfig) -> Path:
    """Return the folder under `root` of the configured data set, which may not exist."""
    return root / f"{config.train_images}+{config.val_images}_seed{config.seed}_v{VERSION}"


def make_synthetic(root: Path, config: SyntheticConfig, workers: int) -> Path:
    """Return the folder under `root` with the configured data set, which is generated if it does not exist.

    It is complete if it exists: it is written to a partial folder, which is renamed at the end.
    """
    folder = synthetic_folder(root, config)
    partial_folder = folder.with_name(f"{folder.name}{PARTIAL}")
    if folder.is_dir():
        return folder
    shutil.rmtree(partial_folder, ignore_errors=True)
    for split in ("train", "val"):
        for pattern in CLASSES:
            (partial_folder / split / pattern).mkdir(parents=True)
    jobs = [
        (split, index, CLASSES[index % len(CLASSES)])
        for split, count in (("train", config.train_images), ("val", config.val_images))
        for index in range(count)
    ]
    write = partial(_write, seed=config.seed, folder=partial_folder)
    with (
        ThreadPoolExecutor(workers) as pool,
        progress_bar("Making synthetic images", len(jobs)) as advance,
    ):
        for _ in pool.map(write, jobs):
            advance(1)
    return partial_folder.rename(folder)
