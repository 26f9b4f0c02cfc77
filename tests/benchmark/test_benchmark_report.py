"""What follows from the figures, and how it is shown."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from alexnet.benchmark.measure import Measurement
from alexnet.benchmark.report import draw_profile, draw_rates, draw_scaling, new_folder
from alexnet.benchmark.results import Point, Results, Spread, VariantResult, format_table, tables
from alexnet.errors import UserError
from alexnet.plotting import DARK, LIGHT, Theme, render, themed
from pictures import faults


def rounds(*seconds: float) -> list[Measurement]:
    return [Measurement(value, 10 * value, 1e6 * value, 1e12, None) for value in seconds]


BASE = rounds(4.0, 8.0, 2.0)
OURS = rounds(1.0, 4.0, 2.0)
RESULTS = Results(
    "a machine; a configuration",
    "float32",
    [
        VariantResult.of("ours", "this program", OURS, BASE, 128, 2e12),
        VariantResult.of("stock_float32", "stock modules, float32", BASE, BASE, 128, 2e12),
    ],
    {"LRN": 0.75, "other": 0.25},
    [Point(16, Spread(0.2, 0.1, 0.3)), Point(64, Spread(0.6, 0.5, 0.7))],
    [Point(1000, Spread(0.3, 0.2, 0.4)), Point(1_281_167, Spread(0.5, 0.5, 0.5))],
)


def test_medians_over_the_rounds() -> None:
    ours = RESULTS.variants[0]
    assert ours.images_per_second == Spread(64.0, 32.0, 128.0)
    assert ours.seconds == Spread(2.0, 1.0, 4.0)
    assert ours.ratio == 2.0  # of 4, 2 and 1, not of the medians
    assert ours.share == Spread(1.0, 0.5, 2.0)
    assert (ours.first_new, ours.first_again, ours.peak_bytes) == (10.0, 30.0, 4e6)


def test_one_round_and_no_base() -> None:
    alone = VariantResult.of("ours", "this program", rounds(1.0), None, 128, 2e12)
    assert (alone.ratio, alone.first_again) == (None, None)
    shown = " ".join(tables(replace(RESULTS, variants=[alone])).splitlines()[2].split())
    assert shown == "this program 128.0 128.0 128.0 - 200% 200% 200% 1.000 10.0 - 1.0 MB"


def test_cost_of_an_image() -> None:
    assert RESULTS.cost_of_an_image() == pytest.approx((0.6 / 64) / (0.2 / 16))
    assert replace(RESULTS, by_batch_size=RESULTS.by_batch_size[:1]).cost_of_an_image() is None


def test_tables() -> None:
    text = tables(RESULTS)
    assert "this program" in text
    assert "LRN    75.0%" in text
    assert "a product of two float32 matrices" in text
    assert "Time of an image in a batch of 64, against one of 16: 0.75" in text
    rows = [line.split() for line in text.splitlines()]
    assert ["64", "600.0", "500.0", "700.0", "106.7", "9.38"] in rows
    assert ["1,281,167", "0.50", "0.50", "0.50"] in rows


def test_what_was_not_measured_is_not_shown() -> None:
    text = tables(replace(RESULTS, parts={}, by_batch_size=[], by_data_size=[]))
    assert not any(word in text for word in ("Where", "batch size", "Start-up"))


def test_format_table() -> None:
    shown = format_table(("", "one\ntwo", "three"), [("a", "1", "2"), ("long name", "10", "20")])
    assert shown == "           one\n           two  three\na            1      2\nlong name   10     20"


@pytest.mark.parametrize("theme", [LIGHT, DARK])
@pytest.mark.parametrize("draw", [draw_rates, draw_profile, draw_scaling])
def test_pictures(draw: Callable[[Results, Theme], Figure], theme: Theme) -> None:
    few = replace(
        RESULTS, variants=RESULTS.variants[1:], by_batch_size=RESULTS.by_batch_size[:1], by_data_size=[]
    )
    for results in (RESULTS, few):
        assert render(partial(draw, results), theme, "png").startswith(b"\x89PNG")


@pytest.mark.parametrize("draw", [draw_rates, draw_profile, draw_scaling])
def test_pictures_can_be_read(draw: Callable[[Results, Theme], Figure]) -> None:
    heading = "AMD EPYC 7763 64-Core Processor, 2 threads, torch 2.15.0+cu132; alexnet, 1 column, batch 128"
    with themed(LIGHT):
        assert faults(draw(replace(RESULTS, heading=heading), LIGHT)) == []


def test_a_panel_for_each_scaling() -> None:
    assert len(draw_scaling(RESULTS, LIGHT).axes) == 2
    (left,) = draw_scaling(replace(RESULTS, by_data_size=[]), LIGHT).axes
    line = left.lines[0].get_xydata()
    slope = 1e3 * (16 * 0.2 + 64 * 0.6) / (16**2 + 64**2)  # least squares through 0
    assert line.tolist() == [[0, 0], pytest.approx([64, 64 * slope])]


def test_no_folder_twice(tmp_path: Path) -> None:
    folders = {new_folder(str(tmp_path)) for _ in range(3)}
    assert len(folders) == 3
    assert {folder.parent for folder in folders} == {tmp_path / "benchmarks"}
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"Cannot make .*file"):
        new_folder(str(tmp_path / "file"))
