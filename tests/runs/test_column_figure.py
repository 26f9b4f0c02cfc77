"""columns.png is drawn from a description, and by a run that divides its network."""

import re
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from PIL import Image

from alexnet.distributed.column_summary import Column, LayerSummary
from alexnet.runs.column_figure import EXCHANGE, draw_columns
from conftest import SMALL, Train


def column(before: int, after: int) -> Column:
    return [
        LayerSummary("image", (3, 227, 227), 0),
        LayerSummary("conv1", (48, 55, 55), 17_472),
        LayerSummary("fc6", (2048,), 1_000_000, sent_before=before),
        LayerSummary("fc8", (1000,), 2_000_000, sent_after=after),
    ]


def exchanges(path: Path) -> int:
    """At how many places from left to right there are lines between the rows."""
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB")) / 255
    between = pixels[len(pixels) // 2 - 30 : len(pixels) // 2 - 15]
    red = (np.abs(between - to_rgb(EXCHANGE)).max(2) < 0.05).any(0)
    (places,) = np.nonzero(red)
    return int((np.diff(places) > 60).sum()) + bool(len(places))


def test_a_crossing_for_each_exchange(tmp_path: Path) -> None:
    for before, after in ((0, 0), (0, 4000), (18_000, 4000)):
        draw_columns([column(before, after)] * 2, "title", tmp_path / "columns.png")
        assert exchanges(tmp_path / "columns.png") == (before > 0) + (after > 0)


@pytest.mark.slow
def test_a_run_draws_its_own(train: Train, synthetic: tuple[str, ...]) -> None:
    divided = ("model.columns=2", "trainer.devices=2", "strategy=model_parallel", "trainer.max_epochs=1")
    finished = train(*synthetic, *SMALL, *divided, "logger=csv")
    assert finished.status == 0, finished.err
    assert exchanges(finished.folder / "figures/columns.png") == 4
    (parameters,) = re.findall(r"^Model .*: ([\d,]+) parameters", finished.out, re.MULTILINE)
    (held,) = re.findall(r"^Placement 2 devices, a column on each: ([\d,]+) parameters", finished.out, re.M)
    classes = finished.result["classes"]
    assert (
        2 * int(held.replace(",", "")) == int(parameters.replace(",", "")) + classes
    )  # both have fc8's biases
