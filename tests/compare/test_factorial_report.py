"""Factorial studies in folders, from their record to the report."""

import csv
import io
import math
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from alexnet.compare.charts import applicable_charts
from alexnet.compare.charts.effects import draw_effects
from alexnet.compare.charts.interactions import draw_interactions
from alexnet.compare.charts.pareto import draw_pareto
from alexnet.compare.comparison import compare
from alexnet.compare.factorial.comparison import Factorial
from alexnet.compare.factorial.notes import notes
from alexnet.compare.factorial.tables import REMOVED, averaged_table, factors_table, removed_table
from alexnet.compare.outline import outline
from alexnet.compare.report import write_report
from alexnet.config import CompareConfig
from alexnet.config.study import Design
from alexnet.errors import UserError
from alexnet.plotting import DARK, LIGHT, Theme, render
from alexnet.studies.design import arm_name
from fabricated_runs import FACTORS, full_factorial, half_fraction, write_factorial, write_run

EFFECT = {"no_lrn": 1.0, "no_dropout": 3.0, "tanh": 6.0}
THREE, SIX = list(EFFECT), list(FACTORS)
CLAIM = {"text": "LRN helps", "section": "3.3", "top1": 1.4, "top5": 1.2, "log_top1": 1.37}


def config(study: Path, **changes: Any) -> CompareConfig:
    return CompareConfig(str(study), changes.get("baseline"), None, None, 25.0, 0.95, [], False, None)


def compared(study: Path) -> Factorial:
    given = CompareConfig(str(study), None, None, None, 25.0, 0.95, [], False, None)
    comparison = compare(given)
    assert isinstance(comparison, Factorial)
    return comparison


def errors_of(cells: list[list[str]], noise: np.ndarray) -> dict[str, list[float]]:
    """25 percent, what each factor adds, and 2 points where dropout and tanh are both changed."""
    both = {"no_dropout", "tanh"}
    expected = [25 + sum(EFFECT.get(name, 0.0) for name in cell) + 2 * (both <= set(cell)) for cell in cells]
    rows = (np.array(expected)[:, None] + noise).tolist()
    return {arm_name(cell, "baseline"): row for cell, row in zip(cells, rows, strict=True)}


def written(folder: Path, *, seeds: int = 2, **record: Any) -> Path:
    cells = full_factorial(THREE)
    errors = errors_of(cells, np.random.default_rng(0).normal(0, 0.4, (8, seeds)))
    return write_factorial(folder, cells, errors, THREE, claims={"no_lrn": CLAIM}, **record)


def test_a_claim_stands_beside_the_effect_that_it_is_of(tmp_path: Path) -> None:
    """The paper removed one thing at a time from the full network."""
    comparison = compared(written(tmp_path))
    whole, short = factors_table(comparison), removed_table(comparison)
    place = whole.headings.index(REMOVED)
    assert whole.headings[place:][:5] == [REMOVED, "95% interval", "paper", "2012 run log", "result"]
    assert short.headings == ["factor", "top-1", "95% interval", "paper", "run log", "result"]
    by_factor = {row[0]: row for row in whole.rows}
    for row in short.rows:
        assert row[1:] == by_factor[row[0]][place:][:5]
    assert by_factor["no_lrn"][place + 2 :][:2] == ["+1.4", "+1.37"]
    assert "paper" not in averaged_table(comparison).headings


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = written(tmp_path_factory.mktemp("factorial") / "s")
    write_report(compare(config(folder)), config(folder))
    return folder


def test_planted_effects_and_the_interaction_are_found(study: Path) -> None:
    comparison = compared(study)
    averaged = {term.name: effect for term, effect in comparison.top1.averaged.items()}
    # an interaction of 2 points adds 1 to each main effect averaged over the others, and is 1 itself
    for name, planted in {"no_lrn": 1, "no_dropout": 4, "tanh": 7, "no_dropout:tanh": 1}.items():
        assert averaged[name].mean == pytest.approx(planted, abs=0.5)
        assert averaged[name].resolved
    for name in ("no_lrn:no_dropout", "no_lrn:tanh"):
        assert not averaged[name].resolved
    for name, planted in EFFECT.items():
        removed = comparison.top1.removed[name]
        assert removed is not None
        assert removed.mean == pytest.approx(planted, abs=0.7)
    assert comparison.top1.freedom == 16 - 8 - 1  # the means of eight cells, a second seed
    assert comparison.top5 is not None
    ratio = (
        comparison.top5.averaged[comparison.mains[0]].mean
        / comparison.top1.averaged[comparison.mains[0]].mean
    )
    assert ratio == pytest.approx(1 / 8)  # as the runs were fabricated


def test_interactions_of_three_factors_are_told(study: Path, tmp_path: Path) -> None:
    assert "No interaction of three factors is resolved (F-test" in " ".join(notes(compared(study)))
    cells = full_factorial(THREE)
    errors = errors_of(cells, np.random.default_rng(0).normal(0, 0.4, (8, 2)))
    errors["no_lrn+no_dropout+tanh"] = [value + 6 for value in errors["no_lrn+no_dropout+tanh"]]
    other = write_factorial(tmp_path / "s", cells, errors, THREE)
    assert "Three or more factors interact (F-test" in " ".join(notes(compared(other)))


def test_what_is_not_resolved_has_a_bound(tmp_path: Path) -> None:
    errors = {"baseline": [20.0, 21], "no_lrn": [20.3, 20.9], "tanh": [30.0, 31], "no_lrn+tanh": [30.1, 31.2]}
    factors = ["no_lrn", "tanh"]
    comparison = compared(write_factorial(tmp_path / "s", full_factorial(factors), errors, factors))
    said = outline(comparison).headline
    assert said[1] == (
        "Resolved differences in top-1 error: 1 of 2 averaged over the others, 1 of 2 removed from the full"
        " AlexNet."
    )
    low, high = comparison.top1.removed["no_lrn"].interval  # type: ignore[union-attr, misc]
    bound = math.ceil(10 * max(-low, high)) / 10
    assert f"not resolved, less than {bound} points either way ({low:+.2f} to {high:+.2f})." in said[3]


def test_a_factor_has_its_keys_and_its_claim(study: Path) -> None:
    comparison = compared(study)
    texts = {factor.name: factor.text for factor in comparison.factors}
    expected = {
        "no_lrn": "model.lrn=false",
        "no_dropout": "model.dropout=0.0",
        "tanh": "model.activation=tanh",
    }
    assert texts == expected
    assert [term.name for term in comparison.mains] == ["tanh", "no_dropout", "no_lrn"]
    assert comparison.factor["no_lrn"].claim.top1 == 1.4


def test_the_files_say_both_estimands(study: Path) -> None:
    comparison = compared(study)
    with (study / "effects.csv").open(newline="") as file:
        rows = {row["effect"]: row for row in csv.DictReader(file)}
    assert list(rows)[:4] == ["tanh", "no_dropout", "no_lrn", "no_dropout:tanh"]
    for term, effect in comparison.top1.averaged.items():
        assert float(rows[term.name]["top1_averaged_difference"]) == pytest.approx(effect.mean, rel=1e-9)
        assert effect.interval is not None
        assert float(rows[term.name]["top1_averaged_low"]) == pytest.approx(effect.interval[0], rel=1e-9)
    removed = comparison.top1.removed["tanh"]
    assert removed is not None
    assert float(rows["tanh"]["top1_removed_difference"]) == pytest.approx(removed.mean, rel=1e-9)
    assert rows["no_lrn"]["paper_top1"] == "1.4"
    assert rows["no_lrn:tanh"]["top1_removed_difference"] == ""
    assert (rows["tanh"]["runs_changed"], rows["tanh"]["started_changed"]) == ("8", "8")
    with (study / "arms.csv").open(newline="") as file:
        cells = list(csv.DictReader(file))
    assert [cell["arm"] for cell in cells][:3] == ["baseline", "no_lrn", "no_dropout"]
    for name in ("report.html", "report.md"):
        text = (study / name).read_text().replace("\\", "").replace("<wbr>", "")
        for expected in (
            "averaged over the others",
            "removed from the full AlexNet",
            "Interactions of two factors",
            "A full factorial of 3 factors: 8 cells, 16 runs",
            "more than additive",
            "## Claims" if name.endswith("md") else "<h2>Claims</h2>",
            "LRN helps",
            "Resolved interactions: 1 of 3: no_dropout:tanh.",
        ):
            assert expected in text, (name, expected)


def test_both_effects_of_each_factor_are_drawn_beside_the_claims(study: Path) -> None:
    comparison = compared(study)
    top1, top5 = draw_effects(comparison, LIGHT).axes
    rows = [label.get_text() for label in top1.get_yticklabels()]
    assert rows == ["tanh", "no_dropout", "no_lrn"]
    drawn = {}
    for line in top1.lines:
        if line.get_marker() == "o":
            ((x,), (y,)) = line.get_data()
            drawn[rows[round(y)], line.get_color()] = (x, line.get_markerfacecolor())
    fit = comparison.top1
    for effects, color in (
        ({term.name: effect for term, effect in fit.averaged.items()}, LIGHT.measured),
        (fit.removed, LIGHT.baseline),
    ):
        for name in rows:
            effect = effects[name]
            assert effect is not None
            face = color if effect.resolved else LIGHT.background
            assert drawn[name, color] == (pytest.approx(effect.mean), face)
    for axes, claims in ((top1, {"D": 1.4, "s": 1.37}), (top5, {"D": 1.2})):
        found = {line.get_marker(): line.get_xdata()[0] for line in axes.lines if line.get_marker() in "Ds"}
        assert found == claims


@pytest.mark.parametrize("theme", [LIGHT, DARK])
@pytest.mark.filterwarnings("error")
def test_charts(study: Path, theme: Theme) -> None:
    comparison = compared(study)
    assert list(applicable_charts(comparison)) == ["effects", "pareto", "interactions"]
    for draw in (draw_effects, draw_pareto, draw_interactions):
        with Image.open(io.BytesIO(render(partial(draw, comparison), theme, "png"))) as picture:
            assert np.asarray(picture.convert("L")).std() > 5
            corner = picture.convert("RGB").getpixel((0, 0))
        assert corner == tuple(bytes.fromhex(theme.background[1:]))
    (axes,) = draw_pareto(comparison, theme).axes
    assert [label.get_text() for label in axes.get_yticklabels()][:4] == [
        *("tanh", "no_dropout", "no_lrn", "no_dropout:tanh")
    ]
    widths = [bar.get_width() for bar in axes.patches]
    assert widths == sorted(widths, reverse=True)
    means = draw_interactions(comparison, theme).axes[0].lines
    cells = {
        name: np.mean([run.top1_error for run in arm.runs])
        for arm in comparison.all_variants
        for name in [arm.name]
    }
    # dropout and tanh both changed, over the two cells with and without LRN
    assert means[1].get_ydata()[1] == pytest.approx(
        (cells["no_dropout+tanh"] + cells["no_lrn+no_dropout+tanh"]) / 2
    )


def test_runs_at_chance_are_counted_at_their_levels(tmp_path: Path) -> None:
    cells = full_factorial(THREE)
    errors = errors_of(cells, np.random.default_rng(1).normal(0, 0.4, (8, 2)))
    errors["no_dropout+tanh"] = [90.0, 90.0]
    comparison = compared(write_factorial(tmp_path / "s", cells, errors, THREE))
    for factor in comparison.factors:
        starts = [level.start.started for level in factor.levels]
        assert starts == ([8, 6] if factor.name != "no_lrn" else [6, 8])
    assert comparison.top1.freedom == 14 - 7 - 1
    tanh = next(effect for term, effect in comparison.top1.averaged.items() if term.name == "tanh")
    assert tanh.mean < 10  # 90 percent in an average would make it more than 20
    assert any(line.startswith("2 of the 16 runs ended at chance") for line in notes(comparison))
    for name, both in errors.items():
        errors[name] = [90.0, 90.0] if "tanh" in name else both
    never = write_factorial(tmp_path / "never", cells, errors, THREE)
    with pytest.raises(UserError, match=r"of 16 runs 8 started \(with tanh 0 of 8") as caught:
        compared(never)
    assert "\n" not in str(caught.value)


def diverge(study: Path, cell: str, seeds: int = 2) -> None:
    """Replace the runs of a cell by runs that diverged."""
    for seed in range(seeds):
        folder = study / cell / f"seed={seed}"
        shutil.rmtree(folder)
        write_run(folder, 0.0, seed=seed, status="failed", error="nan", diverged=True)


def test_a_cell_that_diverged_is_counted_at_its_levels(tmp_path: Path) -> None:
    cells = full_factorial(THREE)
    errors = errors_of(cells, np.random.default_rng(1).normal(0, 0.4, (8, 2)))
    study = write_factorial(tmp_path / "s", cells, errors, THREE)
    diverge(study, "no_dropout+tanh")
    comparison = compared(study)
    for factor in comparison.factors:
        starts = [(level.start.started, level.start.runs) for level in factor.levels]
        assert starts == ([(8, 8), (6, 8)] if factor.name != "no_lrn" else [(6, 8), (8, 8)])
    assert {run.name: run.reason for run in comparison.excluded}["no_dropout+tanh"] == (
        "0 of 2 started: all diverged"
    )
    for cell in errors:
        if "tanh" in cell and cell not in ("no_dropout+tanh", "tanh"):
            diverge(study, cell)
    with pytest.raises(UserError, match=r"of 16 runs 10 started \(with tanh 2 of 8") as caught:
        compared(study)
    assert "missing" not in str(caught.value)


def test_without_the_baseline_there_is_nothing_to_compare_with(tmp_path: Path) -> None:
    cells = full_factorial(THREE)
    errors = errors_of(cells, np.random.default_rng(1).normal(0, 0.4, (8, 2)))
    study = write_factorial(tmp_path / "s", cells, errors, THREE)
    diverge(study, "baseline")
    with pytest.raises(UserError, match=r"the baseline, has no completed run, .*seed=0: failed: nan"):
        compared(study)


def test_what_the_pilot_chose_is_beside_each_cell(tmp_path: Path) -> None:
    """A cell whose rate is its own: its factors' keys and the comparison stay as they are."""
    chosen = {"baseline": {"optimizer.lr": 0.01}, "tanh": {"optimizer.lr": 0.002}}
    folder = written(tmp_path / "s", chosen=chosen)
    for run in (folder / "tanh").iterdir():
        text = (run / "config.yaml").read_text()
        (run / "config.yaml").write_text(text.replace("lr: 0.01", "lr: 0.002"))
    comparison = compared(folder)
    assert comparison.factor["tanh"].text == "model.activation=tanh"
    tuned = {arm.name: arm.tuned_text for arm in comparison.all_variants if arm.tuned}
    assert tuned == {"tanh": "optimizer.lr=0.002"}
    assert any(
        line.startswith("Every cell was trained with the values that the pilot chose")
        for line in notes(comparison)
    )


def test_a_fraction_without_single_changes(tmp_path: Path) -> None:
    """Its cells change none, two, four or six factors; the claims are those of the experiments."""
    cells = half_fraction(SIX)
    noise = np.random.default_rng(2).normal(0, 1, (32, 1))
    levels = np.array([[1.0 if name in cell else -1.0 for name in SIX] for cell in cells])
    pairs = [levels[:, i] * levels[:, j] for i in range(6) for j in range(i)]
    design = np.column_stack([np.ones(32), levels, *pairs])
    residual = noise - design @ np.linalg.lstsq(design, noise, rcond=None)[0]
    noise *= 0.7 / np.sqrt((residual**2).sum() / 10)  # about the model, as large as sigma is
    errors = errors_of(cells, noise)
    folder = write_factorial(tmp_path / "s", cells, errors, SIX, design=Design.fraction, resolution=6)
    comparison = compared(folder)
    assert comparison.factor["no_lrn"].claim.top1 == 1.4
    assert comparison.factor["no_lrn"].text == "model.lrn=false"
    effects = {term.name: effect for term, effect in comparison.top1.averaged.items()}
    assert len(effects) == 21
    assert effects["no_lrn"].resolved  # a planted point
    interval = effects["no_lrn"].interval
    assert interval is not None
    assert (interval[1] - interval[0]) / 2 == pytest.approx(0.79 * 0.7, rel=0.1)


def test_of_resolution_three_there_are_main_effects_only(tmp_path: Path) -> None:
    cells = [
        cell for cell in full_factorial(THREE) if len(cell) % 2
    ]  # C = AB: the baseline is not among them
    errors = errors_of(cells, np.random.default_rng(3).normal(0, 0.4, (4, 2)))
    aliases = ["no_lrn = no_dropout:tanh"]
    folder = write_factorial(
        tmp_path / "s", cells, errors, THREE, design=Design.fraction, resolution=3, aliases=aliases
    )
    comparison = compared(folder)
    assert comparison.interactions == []
    assert set(comparison.top1.removed.values()) == {None}
    assert list(applicable_charts(comparison)) == ["effects", "pareto"]
    lines = notes(comparison)
    assert lines[0].startswith("Main effects only (resolution III)")
    assert lines[1] == "Effects that the design cannot separate: no_lrn = no_dropout:tanh."
    write_report(comparison, config(folder))


def test_what_a_record_does_not_allow(tmp_path: Path, study: Path) -> None:
    given = CompareConfig(str(study), None, "tanh", None, 25.0, 0.95, [], False, None)
    with pytest.raises(UserError, match="effects in a factorial are relative to its own baseline, baseline"):
        compare(given)
    folder = written(tmp_path / "s", seeds=1)
    (folder / "tanh").rename(folder / "other")
    with pytest.raises(UserError, match=r"other is not an arm of this study \(study.json\)"):
        compared(folder)
