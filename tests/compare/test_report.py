"""The files of a comparison: whole, equal to what was computed, and needing nothing else."""

import csv
import errno
import io
import json
import re
import shutil
from base64 import b64decode
from functools import partial
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from alexnet.compare.cells import is_number
from alexnet.compare.charts import CHARTS, applicable_charts
from alexnet.compare.charts.cost import spread
from alexnet.compare.comparison import Comparison, compare
from alexnet.compare.documents import breakable
from alexnet.compare.report import write_report
from alexnet.config import CompareConfig
from alexnet.errors import UserError
from alexnet.plotting import DARK, LIGHT, break_name, render, render_for_pages, wrap_name
from fabricated_runs import write_run, write_study

CLAIM = {
    **{"text": "<b>LRN</b> & more", "section": "3.3", "top1": 1.4, "top5": 1.2, "split": "ILSVRC-2012 val"},
    **{
        "log_top1": 1.37,
        "log_top5": 1.15,
        "log_split": "ILSVRC-2012 val",
        "log_file": "layer-params-148.cfg",
    },
}
VOID = {"meta", "img", "source", "link", "br", "wbr"}
COLOR = re.compile(r"var\(--(\w+)\)|(#[0-9a-f]{6})")


def config(study: Path) -> CompareConfig:
    return CompareConfig(str(study), None, None, None, 25.0, 0.95, [])


@pytest.fixture
def study(tmp_path: Path) -> Path:
    return written(tmp_path / "a & <b>")


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same study with its report, for tests that only read it."""
    folder = written(tmp_path_factory.mktemp("reported") / "a & <b>")
    write_report(compare(config(folder)), config(folder))
    return folder


def written(folder: Path) -> Path:
    """Write a study of three arms, one of them with a single run."""
    write_study(
        folder, {"baseline": ({}, [20.0, 21.0, 22.0]), "tanh": ({"model.activation": "tanh"}, [27.0])}
    )
    for seed, error in enumerate([21.0, 22.5, 23.1]):
        run = folder / "no_lrn" / f"seed={seed}"
        settings = {"model.lrn": False}
        write_run(
            run, error, seed=seed, settings=settings, claim=CLAIM, top5=3.0, speed=1000, peak_memory_mb=900
        )
    return folder


class Page(HTMLParser):
    """Checks that tags are closed in order, and collects what a browser would fetch."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.resources: list[str] = []
        self.names: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self.resources += [value or "" for key, value in attrs if key in ("src", "srcset", "href", "data")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_needs_nothing_else(reported: Path) -> None:
    comparison = compare(config(reported))
    text = (reported / "report.html").read_text()
    page = Page(text)
    charts = applicable_charts(comparison)
    assert page.open == []
    assert len(page.resources) == len(charts)
    for resource in page.resources:
        assert resource.startswith("data:image/svg+xml;base64,")
        svg = b64decode(resource.partition(",")[2]).decode()
        assert not re.search(r'(href|src)="(?!#)', svg)
        assert "<script" not in svg
        assert svg.count("prefers-color-scheme: dark") == 1
    assert not re.search(r"url\(|@import|<script|<link", text)
    assert 'name="viewport"' in text
    assert text.count("prefers-color-scheme: dark") == 1  # and once in each chart
    assert "b" not in page.names  # what configurations say is text
    assert "&lt;b&gt;LRN&lt;/b&gt; &amp; more" in text
    assert "a &amp; &lt;b&gt;" in text


def test_the_report_says_what_was_found(reported: Path) -> None:
    for name in ("report.html", "report.md"):
        text = (reported / name).read_text().replace("\\", "").replace("<wbr>", "")
        for expected in (
            "model.lrn=false",
            "+1.20",
            "+1.4 / +1.2: ",
            "§3.3, ILSVRC-2012 val",
            "+1.37 / +1.15 (ILSVRC-2012 val, layer-params-148.cfg)",
            "one pair: no interval",
            "tanh seed=1",
            "the run does not exist",
            "Few seeds: an arm has only 1 pair.",
            "peak MB",
            "| 900 |" if name.endswith("md") else ">900<",
            "that of the whole process on the CPU, that of the tensors on a GPU",
            "code aaaaaaaaaa",
        ):
            assert expected in text, (name, expected)


def test_the_page_fits_a_phone(reported: Path) -> None:
    """A cell says on a narrow page which column it belongs to; no table or cell forces a width on a page."""
    page = (reported / "report.html").read_text()
    tables = re.findall(r"<table>.*?</table>", page, re.DOTALL)
    assert len(tables) >= 3
    for table in tables:
        headings = re.findall(r"<th\b.*?>(.*?)</th>", table)
        for row in re.findall(r"<tr>(<td.*?)</tr>", table):
            labels = re.findall(r'<td data-label="(.*?)"', row)
            assert labels == [heading.replace("<wbr>", "\u200b") for heading in headings]
            assert row.count("<span>") == row.count("</span>") == len(labels)
    (style,) = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    rules = dict(re.findall(r"([^{}]+?)\s*{([^{}]*)}", style))
    cells = {name.strip(): rule for name, rule in rules.items() if re.search(r"\b(table|tr|td|th)\b", name)}
    assert not any("min-width" in rule or re.search(r"(?<!max-)width", rule) for rule in cells.values())
    assert "display: none" in style[style.index("@media (max-width: 45rem)") :]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("no_lrn", "no_<wbr>lrn"),
        ("model.lrn=false,seed=1", "model.lrn=<wbr>false,<wbr>seed=<wbr>1"),
        ("3,661,162 of a, b", "3,661,162 of a, b"),
        ("<b>_&", "&lt;b&gt;_<wbr>&amp;"),
        ("trailing_", "trailing_"),
    ],
)
def test_names_may_be_broken_at_their_joints(text: str, expected: str) -> None:
    assert breakable(text) == expected


@pytest.mark.parametrize("cell", ["+0.20 to +2.60", "-", "3,661,162", "30.00%", "7.5 (1.2x)", "2 of 3"])
def test_numbers_stay_on_one_line(cell: str) -> None:
    assert is_number(cell)
    assert not is_number(f"{cell} not resolved")
    assert not is_number("+1.4 / +1.2 (§3.3, ILSVRC-2012 val)")


def test_markdown_tables_are_tables(reported: Path) -> None:
    text = (reported / "report.md").read_text()
    for block in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        widths = {len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}
        assert len(widths) == 1, block
    assert all((reported / name).is_file() for name in re.findall(r"!\[.*\]\((.*)\)", text))


def test_csv_holds_what_was_computed(reported: Path) -> None:
    comparison = compare(config(reported))
    with (reported / "arms.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["arm"] for row in rows] == ["baseline", "tanh", "no_lrn"]  # the largest difference first
    for row, arm in zip(rows[1:], comparison.arms, strict=True):
        for name, effect in (("top1", arm.top1), ("top5", arm.top5)):
            assert effect is not None
            assert float(row[f"{name}_difference"]) == pytest.approx(effect.mean, rel=1e-9)
            assert row[f"{name}_verdict"] == effect.significance.value
            ends = [float(row[f"{name}_{end}"]) for end in ("low", "high") if row[f"{name}_{end}"]]
            assert ends == pytest.approx(list(effect.interval or []), rel=1e-9)
    baseline, tanh, no_lrn = rows
    assert (baseline["top1_error"], baseline["top1_difference"], baseline["pairs"]) == ("21.0", "", "")
    assert (tanh["pairs"], tanh["seeds"], tanh["top1_low"]) == ("1", "0", "")
    assert no_lrn["changes"] == "model.lrn=false"
    assert float(no_lrn["top1_error"]) == pytest.approx(22.2)
    assert [no_lrn[key] for key in ("paper_top1", "paper_section", "log_top5")] == ["1.4", "3.3", "1.15"]
    # training error is 5 above validation: the runs of 20 and 21 percent end at 25 and 26
    assert [row["runs_that_reached_it"] for row in rows] == ["1", "0", "0"]
    assert baseline["epochs_to_training_error"] == ""
    assert (float(no_lrn["images_per_second"]), float(no_lrn["wall_seconds"])) == (1000, 60)


def test_csv_has_no_digits_that_rounding_left(tmp_path: Path) -> None:
    """0.1 + 0.2 is 0.30000000000000004, and the mean of 20.1, 20.2 and 20.3 has as little meaning there."""
    study = write_study(tmp_path / "s", {"baseline": ({}, [20.1, 20.2, 20.3]), "a": ({}, [20.4, 20.5, 20.7])})
    write_report(compare(config(study)), config(study))
    with (study / "arms.csv").open(newline="") as file:
        baseline, arm = csv.DictReader(file)
    assert [baseline["top1_error"], arm["top1_error"]] == ["20.2", "20.53333333"]
    assert arm["top1_difference"] == "0.3333333333"


def test_family_wise_intervals_are_a_column_where_there_are_any(study: Path) -> None:
    comparison = compare(config(study))  # tanh has a single run
    write_report(comparison, config(study))
    assert "family-wise" not in re.sub("No family-wise intervals.*", "", (study / "report.md").read_text())
    write_run(study / "tanh" / "seed=1", 28.0, seed=1, settings={"model.activation": "tanh"})
    comparison = compare(config(study))
    write_report(comparison, config(study))
    low, high = comparison.family.intervals["no_lrn"]
    text = f"{low:+.2f} to {high:+.2f}"
    # sums of squares 2, 2.34 and 0.5 with five degrees of freedom: 2.570582 * sqrt(0.968 * 2 / 3) = 2.065
    row = f"| no\\_lrn | 3 of 3 | +1.20 | -0.87 to +3.27 | +1.4 | +1.37 | not resolved | {text} |"
    assert row in (study / "report.md").read_text()
    page = (study / "report.html").read_text()
    assert f'<td data-label="family-wise 95%" class="whole"><span>{text}</span></td>' in page
    assert page.count("<th>family-wise 95%</th>") == 1
    with (study / "arms.csv").open(newline="") as file:
        rows = {row["arm"]: row for row in csv.DictReader(file)}
    ends = [float(rows["no_lrn"][f"top1_family_{end}"]) for end in ("low", "high")]
    assert ends == pytest.approx([low, high], rel=1e-9)
    assert rows["baseline"]["top1_family_low"] == ""


def test_a_full_disk_leaves_no_half_report(
    reported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = tmp_path / "study"
    shutil.copytree(reported, study)
    before = {path: path.read_bytes() for path in study.iterdir() if path.is_file()}

    def fail(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("alexnet.compare.report.write_csv", fail)  # the last file
    with pytest.raises(UserError, match=r"Cannot write the report to .*: No space left on device\. Choose"):
        write_report(compare(config(study)), config(study))
    assert {path: path.read_bytes() for path in study.iterdir() if path.is_file()} == before
    assert not list(study.glob(".*"))


def test_what_runs_say_is_text_everywhere(tmp_path: Path) -> None:
    """Names of arms and of data, claims and errors of runs, in HTML and in Markdown."""
    evil = "<script>{{ 7 * 7 }}</script>|`x`"
    study = tmp_path / "study {{ title }} <i>"
    name = evil.replace("/", "")
    claim = CLAIM | {"text": evil, "split": evil, "log_split": evil, "section": evil, "log_file": evil}
    write_run(study / "baseline" / "seed=0", 20.0, settings={"data.name": evil})
    write_run(
        study / name / "seed=0", 25.0, settings={"data.name": evil, "model.activation": evil}, claim=claim
    )
    write_run(study / "failed" / "seed=0", 0.0, status="failed", error=evil)
    write_report(compare(config(study)), config(study))
    page = (study / "report.html").read_text()
    assert not {"script", "i"} & set(Page(page).names)
    assert "&lt;script&gt;{{ 7 * 7 }}&lt;/script&gt;|`x`" in page
    text = (study / "report.md").read_text()
    assert not re.search(r"(?<!\\)<|(?<!\\)`", text)
    assert "49" not in re.sub(r"\d\.\d+|data:\S+", "", text + page)


def comparison_of(folder: Path, errors: dict[str, list[float]], **common: Any) -> Comparison:
    arms = {name: ({}, values) for name, values in errors.items()}
    return compare(config(write_study(folder, arms, **common)))


@pytest.mark.parametrize(
    ("errors", "common", "theme"),
    [
        ({"baseline": [20.0], "a": [21.0]}, {}, DARK),
        ({"baseline": [20.0, 21.0], "a": [20.0, 21.0]}, {"top5": None}, LIGHT),
        (
            {"baseline": [20.0, 21.0], "a": [60.0, 30.0], "b" * 90: [20.1, 21.2]},
            {"images_per_second": None},
            DARK,
        ),
        ({"baseline": [20.0, 21.0]} | {f"arm_{n}": [20 + n, 21.3 + n] for n in range(15)}, {}, LIGHT),
    ],
)
@pytest.mark.filterwarnings("error")
def test_charts_are_drawn_from_whatever_there_is(
    tmp_path: Path, errors: dict[str, list[float]], common: dict[str, Any], theme: Any
) -> None:
    comparison = comparison_of(tmp_path / "study", errors, **common)
    for draw in CHARTS.values():
        with Image.open(io.BytesIO(render(partial(draw, comparison), theme, "png"))) as picture:
            assert picture.width > 700
            assert np.asarray(picture.convert("L")).std() > 5
            corner = picture.convert("RGB").getpixel((0, 0))
        assert corner == tuple(bytes.fromhex(theme.background[1:]))


def test_the_same_chart_is_the_same_file(tmp_path: Path) -> None:
    comparison = comparison_of(tmp_path / "study", {"baseline": [20.0, 21.0], "a": [21.0, 23.0]})
    for draw in CHARTS.values():
        assert render(partial(draw, comparison), LIGHT, "svg") == render(
            partial(draw, comparison), LIGHT, "svg"
        )


def test_charts_follow_the_theme_of_the_page(tmp_path: Path) -> None:
    """One SVG has the colours, in their order, of a chart that is drawn for that theme."""
    errors = {"baseline": [20.0, 21.0], "a": [21.0, 23.0], "b": [60.0, 61.0]}
    comparison = comparison_of(tmp_path / "study", errors)
    for draw in applicable_charts(comparison).values():
        png, svg = render_for_pages(partial(draw, comparison))
        assert png == render(partial(draw, comparison), LIGHT, "png")
        style, _, drawing = svg.decode().partition("</style>")
        for theme, rules in zip(
            (LIGHT, DARK), style.split("@media (prefers-color-scheme: dark)"), strict=True
        ):
            variables = dict(re.findall(r"--(\w+):(#\w+);", rules))
            colors = [variables.get(name, hex) for name, hex in COLOR.findall(drawing)]
            themed = render(partial(draw, comparison), theme, "svg").decode()
            assert colors == [hex for _, hex in COLOR.findall(themed)]


def test_names_do_not_overlap() -> None:
    assert spread([0.1, 0.5, 0.9], 0.1) == pytest.approx([0.1, 0.5, 0.9])
    assert spread([0.5, 0.5], 0.2) == pytest.approx([0.4, 0.6])
    assert spread([0.0, 0.0, 1.0], 0.2) == pytest.approx([0.0, 0.2, 1.0])
    crowded = spread(sorted(np.random.default_rng(0).normal(0.9, 0.05, 16)), 1 / 16)
    assert min(np.diff(crowded)) >= 1 / 16 - 1e-9
    assert crowded[0] >= 0
    assert crowded[-1] <= 1


def test_long_names_take_several_lines() -> None:
    assert wrap_name("no_lrn") == "no_lrn"
    assert break_name("optimizer.lr=0.001,model.lrn=false", 13) == [
        "optimizer.lr=",
        "0.001,",
        "model.lrn=",
        "false",
    ]
    assert break_name("a" * 30 + "_b", 12) == ["a" * 12, "a" * 12, "a" * 6 + "_b"]
    assert wrap_name("non_overlapping_pooling_2x2") == "non_overlapping_pooling_\n2x2"
    assert (
        max(map(len, wrap_name("model.lrn=false model.activation=tanh optimizer.lr=0.001").splitlines()))
        <= 26
    )


def test_other_metrics_are_beside_the_errors(tmp_path: Path) -> None:
    """What an extension has added, with the interval of paired differences; an arm without it has none."""
    scores = {"baseline": [0.50, 0.60, 0.55], "tanh": [0.40, 0.52, 0.44]}
    for arm, values in scores.items():
        for seed, value in enumerate(values):
            run = write_run(
                tmp_path / "s" / arm / f"seed={seed}",
                20.0 + seed,
                seed=seed,
                settings={"model.activation": "tanh" if arm == "tanh" else "relu"},
            )
            result = json.loads((run / "result.json").read_text())
            result["val"]["macro_f1"] = value
            result["logged"] = {"weight_norm/fc6": 3.0 + seed} if arm == "baseline" else {}
            (run / "result.json").write_text(json.dumps(result))
    comparison = compare(config(tmp_path / "s"))
    assert comparison.other_metrics == ["val/loss", "val/macro_f1", "weight_norm/fc6"]
    write_report(comparison, config(tmp_path / "s"))
    with (tmp_path / "s/arms.csv").open() as file:
        rows = {row["arm"]: row for row in csv.DictReader(file)}
    difference = np.subtract(scores["tanh"], scores["baseline"])
    half = 4.302653 * difference.std(ddof=1) / np.sqrt(3)  # Student's t of two degrees of freedom
    ours = rows["tanh"]
    assert float(ours["val/macro_f1"]) == pytest.approx(np.mean(scores["tanh"]))
    assert float(ours["val/macro_f1_difference"]) == pytest.approx(difference.mean())
    assert float(ours["val/macro_f1_low"]) == pytest.approx(difference.mean() - half, rel=1e-6)
    assert float(ours["val/macro_f1_high"]) == pytest.approx(difference.mean() + half, rel=1e-6)
    assert (ours["weight_norm/fc6"], ours["weight_norm/fc6_difference"]) == ("", "")
    assert float(rows["baseline"]["weight_norm/fc6"]) == 4.0
    for page in ("report.md", "report.html"):
        text = (tmp_path / "s" / page).read_text().replace("\\", "").replace("<wbr>", "")
        assert "Other metrics" in text and "val/macro_f1" in text
        assert f"0.4533 ({difference.mean():+.3g}, {difference.mean() - half:+.3g} to" in text
