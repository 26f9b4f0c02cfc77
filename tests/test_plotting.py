"""Parts that all figures share."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from alexnet import plotting
from alexnet.plotting import LIGHT, SheetImage, Theme, draw_image_sheet, render, save_figure, shorten_file
from pictures import watch

FORMULA = r"$\frac$"  # not a valid one


def with_formulas(theme: Theme, scale: str) -> Figure:
    """A chart with names on its axis, and numbers on the other."""
    figure = Figure()
    axes = figure.subplots()
    axes.barh([0, 1], [10, 1000])
    axes.set_yticks([0, 1], [FORMULA, "$x$"])
    axes.set(xscale=scale, title=FORMULA)
    figure.suptitle(FORMULA)
    return figure


@pytest.mark.parametrize("scale", ["linear", "log"])
def test_dollars_are_drawn(scale: str, tmp_path: Path) -> None:
    assert render(partial(with_formulas, scale=scale), LIGHT, "png").startswith(b"\x89PNG")
    figure = with_formulas(LIGHT, scale)
    save_figure(figure, tmp_path / "chart.png")
    as_formulas = {text.get_text() for text in figure.findobj(Text) if text.get_parse_math()}
    assert not {FORMULA, "$x$"} & as_formulas
    assert any("10^{2}" in text for text in as_formulas) == (scale == "log")


def test_dollars_on_a_sheet_of_images(tmp_path: Path) -> None:
    image = SheetImage(np.zeros((3, 8, 8), np.uint8), FORMULA, [0, 1], [0.75, 0.25], 0)
    draw_image_sheet([image], [FORMULA, "$x$"], tmp_path / "sheet.png", FORMULA)
    with Image.open(tmp_path / "sheet.png") as picture:
        assert min(picture.size) > 200


@pytest.mark.parametrize("images", [1, 2, 12])
def test_a_sheet_can_be_read(images: int, monkeypatch: pytest.MonkeyPatch) -> None:
    found = watch(monkeypatch, plotting)
    names = ["hammerhead, hammerhead shark", "white shark, man-eater"]
    image = SheetImage(
        np.zeros((3, 8, 8), np.uint8), "a photograph with a long name.jpg", [0, 1], [0.7, 0.3], 0
    )
    heading = "Worst mistakes of a run with a long name on imagenette val, ten crops"
    draw_image_sheet([image] * images, names, Path("sheet.png"), heading)
    assert found == {"sheet": []}


def test_files_of_one_folder_stay_apart() -> None:
    names = [f"ILSVRC2012_val_{number:08}.JPEG" for number in (7471, 9651)]
    assert [shorten_file(name, 20) for name in names] == ["ILSVRC201…07471.JPEG", "ILSVRC201…09651.JPEG"]
    assert shorten_file("photograph.jpg", 20) == "photograph.jpg"
