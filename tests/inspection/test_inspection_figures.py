"""Pictures of an inspection, by the boxes of their texts."""

from pathlib import Path

import numpy as np
import pytest

from alexnet.inspection import figures
from alexnet.inspection.figures import LabelledImage, draw_neighbours, draw_units
from alexnet.models.layer_stats import LayerStats
from pictures import watch

NAMES = ["tench, Tinca tinca", "English springer", "great white shark", "diamondback_rattlesnake"]
TITLE = (
    "Validation images, and the training images with the nearest features\n"
    "framed: of the same class, 22 of 30; searched: 2,000 training images"
)


@pytest.mark.parametrize("neighbours", [1, 6])
def test_neighbours_can_be_read(neighbours: int, monkeypatch: pytest.MonkeyPatch) -> None:
    found = watch(monkeypatch, figures)
    images = [LabelledImage(np.zeros((3, 8, 8), np.uint8), label) for label in range(len(NAMES))]
    rows = [(image, [image, *images[-1:] * (neighbours - 1)]) for image in images]
    draw_neighbours(rows, NAMES, TITLE, Path("neighbours.png"))
    assert found == {"neighbours": []}


@pytest.mark.parametrize("saturated", [None, 0.999])
def test_statistics_of_units_can_be_read(saturated: float | None, monkeypatch: pytest.MonkeyPatch) -> None:
    found = watch(monkeypatch, figures)
    layers = [
        LayerStats(name, 4096, rms, None, 1.0, dead, saturated)
        for name, rms, dead in (
            ("conv1", 1.3e-5, 1.0),
            ("layer4.0.downsample", 12345.0, 0.25),
            ("fc8", 0.5, None),
        )
    ]
    draw_units(layers, 2000, Path("units.png"))
    assert found == {"units": []}
