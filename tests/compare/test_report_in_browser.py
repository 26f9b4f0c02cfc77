"""Reports in a browser, on a phone and on a wide screen, light and dark: legible, and nothing cut off."""

from pathlib import Path
from typing import Any

import pytest

from alexnet.compare.comparison import compare
from alexnet.compare.report import write_report
from alexnet.config import CompareConfig
from browser import set_theme, set_width, until
from fabricated_runs import write_study

CLAIM = {
    **{"text": "Response normalization reduces our error rates", "section": "3.3", "top1": 1.4, "top5": 1.2},
    **{
        "log_top1": 1.37,
        "log_top5": 1.15,
        "log_split": "ILSVRC-2012 val",
        "log_file": "layer-params-148.cfg",
    },
}
LONG = "no_crops_and_flips+non_overlapping_pooling+without_any_response_normalization"
ARMS: dict[str, dict[str, Any]] = {
    "one": {"no_lrn": {"model.lrn": False}},
    "many": {
        f"{LONG}_{number}": {
            **{"model.lrn": False, "model.pooling": "non_overlapping", "model.dropout": number / 10},
            **{"model.filters": [48, 128, 192, 192, 256], "data.augment": {"crop": False}},
        }
        for number in range(6)
    },
}
SIDEWAYS = "return [document.scrollingElement.scrollWidth, innerWidth]"
# the boxes that hold more than they show, by what is in them
SCROLLING = """
return [...document.querySelectorAll(".scroll")].filter(box => box.scrollWidth > box.clientWidth)
  .map(box => box.firstElementChild.outerHTML.slice(0, 80));
"""
# of each cell of these columns: its text, and whether all of it is within its box and so in the window
CELLS = """
return [...document.querySelectorAll("td")].filter(cell => arguments[0].includes(cell.dataset.label))
  .map(cell => {
    const text = cell.querySelector("span").getBoundingClientRect();
    const box = cell.closest(".scroll").getBoundingClientRect();
    return [cell.dataset.label, cell.textContent, text.width > 0 && text.left >= box.left
      && text.right <= box.right && box.left >= 0 && box.right <= innerWidth];
  });
"""
IMAGES = "return [...document.images].map(image => [image.complete, image.naturalWidth, image.alt])"
# WCAG 2's contrast of each text with what is behind it
CONTRASTS = """
const rgb = color => color.match(/[\\d.]+/g).map(Number);
const luminance = color => rgb(color).slice(0, 3).map(value => value / 255)
  .map(value => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4)
  .reduce((sum, value, index) => sum + value * [0.2126, 0.7152, 0.0722][index], 0);
const contrast = (one, other) => {
  const [less, more] = [luminance(one), luminance(other)].sort((first, second) => first - second);
  return (more + 0.05) / (less + 0.05);
};
const background = element => {
  const color = getComputedStyle(element).backgroundColor;
  return rgb(color)[3] === 0 ? background(element.parentElement) : color;
};
const found = [];
const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (texts.nextNode()) {
  const element = texts.currentNode.parentElement;
  if (texts.currentNode.data.trim() && element.getClientRects().length)
    found.push([texts.currentNode.data, contrast(getComputedStyle(element).color, background(element))]);
}
for (const cell of document.querySelectorAll("td")) {
  const label = getComputedStyle(cell, "::before");
  if (label.content !== "none") found.push([label.content, contrast(label.color, background(cell))]);
}
return found;
"""
# the colour of each chart's corner
CORNERS = """
return [...document.images].map(image => {
  const context = document.createElement("canvas").getContext("2d");
  context.drawImage(image, 0, 0);
  return `rgb(${context.getImageData(1, 1, 1, 1).data.slice(0, 3).join(", ")})`;
});
"""
BACKGROUND = "return getComputedStyle(document.body).backgroundColor"


@pytest.fixture(scope="module", params=list(ARMS))
def arms(request: pytest.FixtureRequest) -> dict[str, Any]:
    return ARMS[request.param]


@pytest.fixture(scope="module")
def report(browser: Any, arms: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of these arms, each with three seeds and a claim; `browser` first: it may skip."""
    study = tmp_path_factory.mktemp("reported") / "study"
    write_study(study, {"baseline": ({}, [20.0, 21.0, 22.0])})
    errors = {
        name: (settings, [21.0 + number, 22.5 + number, 23.1 + number])
        for number, (name, settings) in enumerate(arms.items())
    }
    write_study(study, errors, claim=CLAIM)
    config = CompareConfig(str(study), None, None, None, 25.0, 0.95, [])
    write_report(compare(config), config)
    return study / "report.html"


@pytest.mark.slow
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [420, 1200])
def test_a_report_is_legible(
    browser: Any, report: Path, arms: dict[str, Any], width: int, theme: str
) -> None:
    set_width(browser, width)
    set_theme(browser, theme)
    browser.get(report.as_uri())
    until(lambda: all(complete for complete, *_ in browser.execute_script(IMAGES)))

    needed, there = browser.execute_script(SIDEWAYS)
    assert needed <= there == width

    columns = ["top-1", "measured", "paper", "2012 run log"]
    cells = browser.execute_script(CELLS, columns)
    for column in columns:
        shown = [text for label, text, _ in cells if label == column]
        assert len(shown) >= len(arms), column
        assert "-" not in shown, column
    assert [cell for cell in cells if not cell[2]] == []
    assert browser.execute_script(SCROLLING) == []

    images = browser.execute_script(IMAGES)
    assert len(images) >= 3
    assert all(natural > 0 and alt for _, natural, alt in images)

    contrasts = browser.execute_script(CONTRASTS)
    assert len(contrasts) > 50
    assert [item for item in contrasts if item[1] < 4.5] == []
    background = browser.execute_script(BACKGROUND)
    assert background == {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 23, 26)"}[theme]
    assert set(browser.execute_script(CORNERS)) == {background}
    assert browser.get_log("browser") == []
