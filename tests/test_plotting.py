"""Parts that all figures share."""

from functools import partial
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from alexnet import plotting
from alexnet.plotting import (
    DARK,
    LIGHT,
    SheetImage,
    Theme,
    draw_image_sheet,
    render,
    save_figure,
    shorten_file,
)
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


# linear RGB as seen without one kind of cones: Machado, Oliveira and Fernandes, 2009, table of severity 1
COLOUR_VISION = {
    "all cones": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}


def lab(color: str, vision: str) -> np.ndarray:
    """CIELAB (D65) of an sRGB colour #rrggbb, as seen."""
    srgb = np.frombuffer(bytes.fromhex(color[1:]), np.uint8) / 255
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    to_xyz = [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.119192, 0.9503041],
    ]
    xyz = to_xyz @ np.clip(COLOUR_VISION[vision] @ linear, 0, 1) / [0.95047, 1, 1.08883]
    f = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("vision", COLOUR_VISION)
@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_series_differ_for_those_who_do_not_see_all_colours(theme: Theme, vision: str) -> None:
    """By four times the difference that is just seen (CIE76: 2.3); their marks or line styles differ, too."""
    series = [theme.measured, theme.paper, theme.log, theme.baseline, theme.text]
    for one, other in combinations(series, 2):
        assert np.linalg.norm(lab(one, vision) - lab(other, vision)) > 4 * 2.3, (one, other)
    assert lab("#ffffff", "all cones") == pytest.approx([100, 0, 0], abs=0.02)
