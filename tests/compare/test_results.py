"""Kept results: their pages say what the runs say, and are made again from their rows."""

import csv
import re
import shutil
from math import sqrt
from pathlib import Path

import numpy as np
import pytest
from matplotlib.testing.compare import compare_images
from scipy import stats

from alexnet.compare.comparison import compare
from alexnet.compare.report import write_report
from alexnet.compare.results import write_results
from alexnet.compare.verdict import Verdict, verdict, verdict_in_words
from alexnet.config import CompareConfig
from alexnet.config.study import Design
from alexnet.errors import UserError
from alexnet.studies.record import StudyRecord
from conftest import PROJECT
from fabricated_runs import full_factorial, write_factorial, write_run, write_study

CLAIM = {"text": "reduces our error by 1.4%", "section": "3.3", "top1": 1.4}


def config(**keys: str) -> CompareConfig:
    given = dict.fromkeys(("study", "runs", "results", "baseline", "out"))
    return CompareConfig(**given | keys, training_error=25.0, confidence=0.95, allow=[])


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A study of one factor, whose effect is 1.51, and a factorial with two."""
    arms = {"baseline": ({}, [20.0, 20.1, 20.2]), "no_lrn": ({"model.lrn": False}, [21.5, 21.6, 21.73])}
    study = write_study(tmp_path / "a", arms, claim=CLAIM)
    write_run(study / "tanh/seed=0", 0.0, status="failed", error="nan", diverged=True)
    StudyRecord(
        *("a", "LRN alone", Design.one_at_a_time, "baseline", ["no_lrn", "tanh"]),
        arms={"baseline": [], "no_lrn": ["no_lrn"], "tanh": ["tanh"]},
        seeds={"baseline": [0, 1, 2], "no_lrn": [0, 1, 2], "tanh": [0]},
        overrides=["study=a", f"data.root={tmp_path}", "model.width=0.25"],
    ).write(study)
    cells = full_factorial(["no_lrn", "tanh"])
    errors = {
        "baseline": [20.0, 21],
        "no_lrn": [22.5, 22],
        "tanh": [30.0, 31],
        "no_lrn+tanh": [33.0, 32.1],
    }
    other = write_factorial(tmp_path / "b", cells, errors, ["no_lrn", "tanh"], overrides=["study=b"])
    for name, folder in (("lrn", study), ("both", other)):
        keys = config(study=str(folder), out=str(tmp_path / "results" / name))
        write_report(compare(keys), keys)
    return tmp_path / "results"


def contents(folder: Path) -> dict[Path, bytes]:
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_pages(results: Path, tmp_path: Path) -> None:
    (results / "lrn/notes.md").write_text("## Not settled\n\nWhether it holds on photographs.\n")
    pages = write_results(config(results=str(results)))
    assert [page.relative_to(results).parts[0] for page in pages] == ["both", "lrn", "README.md"]
    page = (results / "lrn/README.md").read_text()
    assert "# LRN alone on " in page
    assert "    python src/train.py -m study=a model.width=0.25\n" in page
    assert "The claims:\n\n- no\\_lrn: reduces our error by 1.4% (§3.3)\n" in page
    assert "| no\\_lrn | 3 | +1.51 | +1.27 to +1.75 | +1.4 | agrees |" in page  # t(4) = 2.776, by hand
    assert "Whether it holds on photographs." in page
    assert "](effects.png)" in page
    page = (results / "both/README.md").read_text()
    assert (
        "removed from the full AlexNet | 95% interval | paper | verdict | averaged over the others |" in page
    )
    (row,) = re.findall(r"\| tanh \| 2 \| (.*) \|", page)  # of the cell without it; means of cells, by hand
    assert row.split(" | ")[0] == "+10.00"
    assert row.split(" | ")[-1].startswith("+10.15 (")
    listed = (results / "README.md").read_text()
    assert "| [lrn](lrn/README.md) | Imagenette | no\\_lrn | 3 | +1.51 |" in listed
    assert "| [both](both/README.md) | Imagenette | tanh | 2 |" in listed
    assert "`python src/train.py -m study=b`" in listed
    assert str(tmp_path) not in "".join(path.read_text() for path in results.rglob("*.[mc]*"))


def test_generated_images_do_not_test_a_claim(tmp_path: Path) -> None:
    settings = {"data.name": "synthetic"}
    arms = {"baseline": (settings, [20.0, 20.1]), "no_lrn": (settings | {"model.lrn": False}, [21.5, 21.6])}
    keys = config(study=str(write_study(tmp_path / "a", arms, claim=CLAIM)), out=str(tmp_path / "results/a"))
    write_report(compare(keys), keys)
    write_results(config(results=str(tmp_path / "results")))
    listed = (tmp_path / "results/README.md").read_text()
    assert re.search(
        r"\| synthetic images \| no\\_lrn \| 2 \| \+1.50 \| .* \| \+1.4 \| not tested \|\n", listed
    )


def test_made_again_they_are_the_same(results: Path) -> None:
    write_results(config(results=str(results)))
    first = contents(results)
    write_results(config(results=str(results)))
    assert contents(results) == first
    assert (results / "lrn/report.md").read_text().count("0 of 1 started: all diverged") == 1


def test_without_results(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no subfolder contains results.json. Add one: compare.py study="):
        write_results(config(results=str(tmp_path)))


@pytest.mark.parametrize("key", ["baseline", "out", "resolve"])
def test_what_each_result_has_of_its_own(key: str) -> None:
    given = {"results": "results", key: 1.0 if key == "resolve" else "x"}
    with pytest.raises(UserError, match=f"{key}=.*: expected no value"):
        config(**given).check()  # type: ignore[arg-type]


def test_those_of_this_project(tmp_path: Path) -> None:
    again = tmp_path / "results"
    shutil.copytree(PROJECT / "results", again)
    write_results(config(results=str(again)))
    kept, made = contents(PROJECT / "results"), contents(again)
    kept, made = (
        {path: content for path, content in files.items() if path.suffix != ".html"}  # they are not in git
        for files in (kept, made)
    )
    assert kept.keys() == made.keys()
    for path, content in kept.items():
        if path.suffix == ".png":  # text is drawn a little differently on other machines
            assert compare_images(str(PROJECT / "results" / path), str(again / path), tol=2) is None
        else:
            assert made[path].decode() == content.decode(), path


@pytest.mark.parametrize(
    ("interval", "claimed", "expected"),
    [
        ((0.5, 2.0), 1.4, Verdict.agrees),
        ((-0.5, 2.0), 1.4, Verdict.unknown),
        (None, 1.4, Verdict.unknown),
        ((-0.5, 1.0), 1.4, Verdict.disagrees),
        ((-3.0, -1.0), 1.4, Verdict.disagrees),
        ((0.2, 1.0), 1.4, Verdict.smaller),
        ((2.0, 3.0), 1.4, Verdict.larger),
        ((-1.0, -0.2), -1.4, Verdict.smaller),
        ((-3.0, -2.0), -1.4, Verdict.larger),
        ((-3.0, 2.0), None, None),
    ],
)
def test_verdict(
    interval: tuple[float, float] | None, claimed: float | None, expected: Verdict | None
) -> None:
    assert verdict(interval, claimed) is expected


def test_verdict_on_a_ratio() -> None:
    """No effect is a ratio of one."""
    assert verdict((2.0, 4.0), 6.0, no_effect=1) is Verdict.smaller
    assert verdict((0.9, 4.0), 6.0, no_effect=1) is Verdict.disagrees
    assert verdict((0.3, 0.9), 6.0, no_effect=1) is Verdict.disagrees


@pytest.mark.parametrize(
    ("interval", "expected"),
    [
        (None, "cannot tell"),
        ((-0.1, 2.0), "cannot tell"),
        ((0.1, 2.0), "agrees"),
        ((-2.0, -0.1), "disagrees"),
    ],
)
def test_verdict_on_a_claim_without_a_number(interval: tuple[float, float] | None, expected: str) -> None:
    assert verdict_in_words(interval) == expected


def test_the_notes_on_lrn_and_ten_crops() -> None:
    """The differences on ten crops that they tell are those of the rows, by the textbook's formula."""
    folder = PROJECT / "results/cifar_lrn"
    errors: dict[str, list[float]] = {}
    for row in csv.DictReader((folder / "results.csv").read_text(encoding="utf-8").splitlines()):
        errors.setdefault(row["arm"], []).append(float(row["ten_top1"]))
    pooled = sqrt(np.mean([np.var(values, ddof=1) for values in errors.values()]))
    half = stats.t.ppf(0.975, sum(map(len, errors.values())) - 3) * pooled * sqrt(2 / 5)
    means = {arm: np.mean(values) for arm, values in errors.items()}
    notes = " ".join((folder / "notes.md").read_text(encoding="utf-8").split())
    without, lrn = means["convnet_13pct"], means["cifar_lrn"]
    gain, pair = without - lrn, without - means["convnet_11pct"]
    assert (
        f"LRN is worth less: {gain:.1f} points ({gain - half:.1f} to {gain + half:.1f}),"
        f" from {without:.1f}% to {lrn:.1f}%" in notes
    )
    assert f"on ten crops {pair:.1f} ({pair - half:.1f} to {pair + half:.1f})" in notes
    report = (folder / "report.md").read_text(encoding="utf-8").split("## Differences on ten crops")[1]
    assert f"standard deviation {pooled:.2f} points, 12 degrees of freedom" in report.split("##")[0]
    assert f"| {-gain:+.2f} | {-gain - half:+.2f} to {-gain + half:+.2f} |" in report
