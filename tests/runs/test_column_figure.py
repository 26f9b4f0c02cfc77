"""columns.png is drawn from a description, and by a run that divides its network."""

import re
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from PIL import Image

from alexnet.distributed.column_summary import Column, LayerSummary
from alexnet.plotting import DPI
from alexnet.runs import column_figure
from alexnet.runs.column_figure import EXCHANGE, LANE, LEFT, draw_columns
from conftest import SMALL, Train
from pictures import watch


def column(before: int, after: int) -> Column:
    return [
        LayerSummary("image", (3, 227, 227), 0),
        LayerSummary("conv1", (48, 55, 55), 17_472),
        LayerSummary("fc6", (2048,), 1_000_000, sent_before=before),
        LayerSummary("fc8", (1000,), 2_000_000, sent_after=after),
    ]


def exchanges(path: Path) -> int:
    """At how many places from top to bottom there are lines between the columns."""
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB")) / 255
    middle = round(DPI * (LEFT + LANE + 0.8 - LANE / 2))
    between = pixels[:, middle - 60 : middle - 50]  # on the left of what stands in the middle
    red = (np.abs(between - to_rgb(EXCHANGE)).max(2) < 0.05).any(1)
    (places,) = np.nonzero(red)
    return int((np.diff(places) > 45).sum()) + bool(len(places))


def test_a_crossing_for_each_exchange(tmp_path: Path) -> None:
    for before, after in ((0, 0), (0, 4000), (18_000, 4000)):
        draw_columns([column(before, after)] * 2, "title", tmp_path / "columns.png")
        assert exchanges(tmp_path / "columns.png") == (before > 0) + (after > 0)


@pytest.mark.parametrize(
    ("copies", "headings"),
    [
        (1, ["column 1, device 0", "column 2, device 1"]),
        (2, ["column 1\ndevices 0 and 2: each up to", "column 2\ndevices 1 and 3: each up to"]),
        (
            8,
            [
                "column 1\ndevices 0, 2, ... and 14: each up to",
                "column 2\ndevices 1, 3, ... and 15: each up to",
            ],
        ),
    ],
)
def test_the_devices_of_a_column_are_named(
    copies: int, headings: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    saved: list[Figure] = []
    monkeypatch.setattr(column_figure, "save_figure", lambda figure, path: saved.append(figure))
    draw_columns([column(18_000, 4000)] * 2, "title", Path("columns.png"), copies)
    shown = [text.get_text().rpartition("\n") for text in saved[0].axes[0].texts]
    assert [first for first, _, last in shown if last == "3,017,472 parameters"] == headings


@pytest.mark.parametrize("copies", [1, 2, 8])
def test_it_can_be_read(copies: int, monkeypatch: pytest.MonkeyPatch) -> None:
    found = watch(monkeypatch, column_figure)
    draw_columns([column(18_000, 4000)] * 2, "title", Path("columns.png"), copies)
    assert found == {"columns": []}


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
