"""Ten crops against the centre crop: both errors are of the same runs, as evaluate.py has measured them."""

import json
from math import sqrt
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import pytest

from alexnet.compare.comparison import compare
from alexnet.compare.findings import findings
from alexnet.compare.outline import outline
from alexnet.compare.report import write_report
from alexnet.compare.ten_crops import crop_effects, ten_crops_section
from alexnet.config import CompareConfig
from fabricated_runs import write_study

T_3 = 3.182446305  # 97.5% quantile of Student's t with 3 degrees of freedom, from a table
T_6 = 2.446911851  # with 6
CENTER = [30.5, 31.0, 30.0, 31.5]
TEN = [28.5, 29.5, 28.5, 30.0]
ARMS: dict[str, Any] = {
    "baseline": ({}, [30.4, 31.2, 30.1, 31.3]),
    "no_lrn": ({"model.lrn": False}, [33.0] * 4),
}


def evaluate(run: Path, samples: int = 3925, **errors: dict[str, Any]) -> None:
    """Write what evaluate.py writes."""
    figures = {crops: {"samples": samples, "loss": 1.0} | values for crops, values in errors.items()}
    (run / "evaluation").mkdir()
    (run / "evaluation/evaluation.json").write_text(json.dumps({"figures": figures}))


def study(folder: Path) -> Path:
    write_study(folder, ARMS)
    for seed, (center, ten) in enumerate(zip(CENTER, TEN, strict=True)):
        run = folder / f"baseline/seed={seed}"
        evaluate(
            run,
            center={"top1_error": center, "top5_error": center / 10},
            ten={"top1_error": ten, "top5_error": ten / 10},
        )
    return folder


def config(folder: Path, out: Path | None = None) -> CompareConfig:
    given: dict[str, Any] = {"study": str(folder), "runs": None, "baseline": "baseline"}
    return CompareConfig(
        **given, out=out and str(out), training_error=25.0, confidence=0.95, allow=[], wandb=False
    )


def test_the_interval_is_of_differences_within_networks(tmp_path: Path) -> None:
    comparison = compare(config(study(tmp_path / "study")))
    (effect,) = crop_effects(comparison)  # the other arm was not evaluated
    assert effect.arm is comparison.baseline
    assert (effect.center, effect.ten) == (fmean(CENTER), fmean(TEN))
    differences = [ten - center for center, ten in zip(CENTER, TEN, strict=True)]
    half = T_3 * stdev(differences) / sqrt(4)
    assert effect.top1.interval == pytest.approx((fmean(differences) - half, fmean(differences) + half))
    assert effect.top5 is not None
    assert effect.top5.mean == pytest.approx(fmean(differences) / 10)


def test_arms_are_compared_on_ten_crops(tmp_path: Path) -> None:
    """As on the centre crop: with the pooled variance, from the errors that evaluate.py measured."""
    folder = study(tmp_path / "study")
    other = [32.0, 31.5, 31.0, 33.5]
    for seed, ten in enumerate(other):
        evaluate(folder / f"no_lrn/seed={seed}", center={"top1_error": 34.0}, ten={"top1_error": ten})
    parts = outline(compare(config(folder)))
    mean = fmean(other) - fmean(TEN)
    half = T_6 * sqrt((stdev(other) ** 2 + stdev(TEN) ** 2) / 2) * sqrt(2 / 4)
    row = ["no_lrn", "4 of 4", f"{mean:+.2f}", f"{mean - half:+.2f} to {mean + half:+.2f}"]
    for sections in (parts.sections, parts.terminal):
        (section,) = [one for one in sections if one.heading.startswith("Differences on ten crops")]
        ((*found, _, _, result),) = section.table.rows
        assert (found, result) == (row, "higher error")


def test_an_arm_that_was_not_evaluated_has_no_difference(tmp_path: Path) -> None:
    parts = outline(compare(config(study(tmp_path / "study"))))
    assert not [one for one in parts.sections if one.heading.startswith("Differences on ten crops")]


def test_it_is_a_finding_beside_the_papers_claim(tmp_path: Path) -> None:
    found = findings(compare(config(study(tmp_path / "study"))))
    assert [finding.name for finding in found] == ["no_lrn", "ten_crops"]
    ten_crops = found[-1]
    assert (ten_crops.measured, ten_crops.runs, ten_crops.claimed) == ("-1.62", 4, "-1.5")
    assert ten_crops.verdict == "agrees"  # -2.02 to -1.23


def test_the_table_fits_a_terminal(tmp_path: Path) -> None:
    comparison = compare(config(study(tmp_path / "study")))
    whole, short = (ten_crops_section(comparison, short=short) for short in (False, True))
    assert whole is not None and short is not None
    row = ["baseline", "4", "30.75%", "29.12%", "-1.62", "-2.02 to -1.23", "-1.5"]
    assert short.table.rows == [row]
    assert whole.table.rows == [[*row, "-1.55", "-0.16", "-0.20 to -0.12"]]
    assert whole.table.headings[-4:] == ["paper", "2012 run log", "top-5", "95% interval"]


def test_a_kept_result_has_it_without_the_runs(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for source, out in ((study(tmp_path / "study"), first), (first, second)):
        out.mkdir()
        write_report(compare(config(source, out)), config(source, out))
    assert "## Ten crops" in (first / "report.md").read_text()
    for name in ("report.md", "results.csv"):
        assert (first / name).read_bytes() == (second / name).read_bytes()


@pytest.mark.parametrize(
    "evaluation",
    [
        {},
        {"center": {"top1_error": 30.0}},
        {"center": {"top1_error": 30.0}, "ten": {"top1_error": 28.0}, "samples": 100},
    ],
    ids=["none", "centre alone", "other images"],
)
def test_every_run_must_have_both_errors(tmp_path: Path, evaluation: dict[str, Any]) -> None:
    folder = study(tmp_path / "study")
    run = folder / "baseline/seed=3"
    (run / "evaluation/evaluation.json").unlink()
    (run / "evaluation").rmdir()
    if evaluation:
        evaluate(run, **evaluation)
    comparison = compare(config(folder))
    assert crop_effects(comparison) == []
    assert ten_crops_section(comparison) is None
    assert [finding.name for finding in findings(comparison)] == ["no_lrn"]


def test_too_few_classes_for_a_top5_error(tmp_path: Path) -> None:
    folder = write_study(tmp_path / "study", ARMS)
    for seed in range(4):
        evaluate(
            folder / f"baseline/seed={seed}", center={"top1_error": 30.0}, ten={"top1_error": 28.0 + seed}
        )
    (effect,) = crop_effects(compare(config(folder)))
    assert effect.top5 is None
    section = ten_crops_section(compare(config(folder)))
    assert section is not None
    assert section.table.rows[0][-2:] == ["-", "-"]
