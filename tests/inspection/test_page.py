"""The page of an inspection in a browser, and how it stays small."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from test_inspect import config_of

from alexnet.inspection.inspect import inspect_run
from alexnet.inspection.page import ACTIVATION_BYTES, _map_side, _sheet
from alexnet.training.fit import train as fit
from browser import set_theme, set_width, until
from conftest import SMALL, request_of


@pytest.mark.parametrize(
    ("maps", "size", "images", "side"),
    [(96, 55, 8, None), (64, 224, 8, 56), (64, 224, 1, None), (2048, 56, 12, 14), (100_000, 224, 12, 1)],
)
def test_large_maps_are_reduced(maps: int, size: int, images: int, side: int | None) -> None:
    activations = {"conv1": torch.empty(1, maps, size, size), "fc8": torch.empty(1, 10)}
    assert _map_side(activations, images) == side
    shown = size if side is None else min(side, size)
    assert images * maps * shown**2 <= ACTIVATION_BYTES


def test_averages_of_reduced_maps() -> None:
    values = torch.rand(5, 8, 8)
    sheet = _sheet("conv1", values, 4)
    assert (sheet["width"], sheet["height"], sheet["across"], sheet["count"]) == (4, 4, 3, 5)
    averages = values.reshape(5, 4, 2, 4, 2).mean((2, 4))
    assert sheet["limit"] == pytest.approx(float(averages.max()))
    assert not sheet["signed"]


@pytest.fixture(scope="module")
def page(synthetic: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a small network with two columns."""
    folder = tmp_path_factory.mktemp("page")
    small = (*SMALL, *synthetic, "trainer.max_epochs=1", "model.columns=2", "logger=csv")
    fit(request_of(folder / "run", *small))
    inspect_run(config_of(run=str(folder / "run"), out=str(folder / "out"), wandb=False))
    return folder / "out/inspection.html"


@pytest.mark.slow
def test_in_a_browser(page: Path, browser: Any) -> None:
    """Click everything; point at the image; use the keyboard; both themes; a narrow window."""
    browser.get(page.as_uri())
    content = json.loads(browser.execute_script("return document.getElementById('content').textContent"))

    def find(selector: str) -> list[Any]:
        return browser.find_elements("css selector", selector)

    def text(identifier: str) -> str:
        return str(
            browser.execute_script("return document.getElementById(arguments[0]).textContent", identifier)
        )

    def pixels(identifier: str) -> str:
        return str(
            browser.execute_script("return document.getElementById(arguments[0]).toDataURL()", identifier)
        )

    images = content["images"]
    assert len(find("#images button")) == len(images)
    first = pixels("stage")
    find("#images button")[1].click()
    until(lambda: images[1]["path"] in text("note") and pixels("stage") != first)
    for item in images[1]["predictions"]:
        assert f"{100 * item['probability']:.1f}%" in text("predictions")
    assert len(find("#neighbours figure")) == len(images[1]["neighbours"])

    for number, layer in enumerate(images[1]["layers"]):
        before = pixels("sheet")
        find("#layers button")[number].click()
        until(lambda: text("unit").startswith(layer["name"]))  # noqa: B023, called at once
        assert number == 0 or pixels("sheet") != before
    find("#layers button")[0].click()

    image = pixels("stage")
    sheet = find("#sheet")[0]
    layer = images[1]["layers"][0]
    row, column = divmod(unit := layer["count"] // 2, layer["across"])
    rows = math.ceil(layer["count"] / layer["across"])
    x = round(((column + 0.5) / layer["across"] - 0.5) * sheet.size["width"])  # from the middle
    y = round(((row + 0.5) / rows - 0.5) * sheet.size["height"])
    actions = pytest.importorskip("selenium.webdriver").ActionChains
    actions(browser).move_to_element_with_offset(sheet, x, y).click().perform()
    until(lambda: f"Map {unit}:" in text("unit") and pixels("stage") != image)
    sheet.send_keys("\ue012")  # left
    until(lambda: f"Map {unit - 1}:" in text("unit"))

    find("#views button")[1].click()
    until(lambda: "lowers the probability" in text("note"))
    actions(browser).move_to_element(find("#stage")[0]).perform()
    best = images[1]["predictions"][0]
    at_middle = images[1]["occlusion"][5][5]
    until(lambda: f"With this patch: {best['name']} {100 * at_middle:.1f}%" in text("note"))

    assert [heading.text for heading in find("#filters h3")] == ["Column 1", "Column 2"]
    find("#filters button")[2].click()
    until(lambda: "Map 2:" in text("unit") and "map 2 of conv1" in text("note"))

    background = "return getComputedStyle(document.body).backgroundColor"
    for theme, color in (("light", "rgb(255, 255, 255)"), ("dark", "rgb(20, 23, 26)")):
        set_theme(browser, theme)
        assert browser.execute_script(background) == color
    set_width(browser, 420)
    until(lambda: browser.execute_script("return document.documentElement.scrollWidth <= window.innerWidth"))
    assert browser.get_log("browser") == []


@pytest.mark.slow
def test_long_names_do_not_widen_the_page(page: Path, browser: Any, tmp_path: Path) -> None:
    """Those of classes break at their joints, those of files anywhere."""
    head, mark, rest = page.read_text().partition('type="application/json">')
    text, end, script = rest.partition("</script>")
    content = json.loads(text)
    image = content["images"][0]
    image["class"] = image["predictions"][0]["name"] = image["neighbours"][0]["class"] = (
        "golden_retriever" * 4
    )
    image["path"] = "x" * 90 + ".JPEG"
    (tmp_path / "long.html").write_text(head + mark + json.dumps(content) + end + script)
    for width in (420, 1200):
        set_width(browser, width)
        browser.get((tmp_path / "long.html").as_uri())
        assert browser.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")
        for place in ("#predictions", "#neighbours"):
            shown = browser.find_element("css selector", place).get_property("textContent")
            assert "golden_\u200bretriever" in shown
