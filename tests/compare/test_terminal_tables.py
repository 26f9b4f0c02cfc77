"""Tables in a terminal of 80 columns, and the pilot's."""

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from alexnet import terminal
from alexnet.compare import display
from alexnet.compare.comparison import compare
from alexnet.compare.display import break_name
from alexnet.compare.documents import markdown_report
from alexnet.compare.notes import notes
from alexnet.compare.one_at_a_time import OneAtATime
from alexnet.config import CompareConfig
from alexnet.config.study import Design
from alexnet.studies.record import StudyRecord, Trial
from fabricated_runs import FACTORS, full_factorial, write_factorial, write_run

CLAIM = {"text": "Response normalization reduces", "section": "3.3", "top1": 1.4, "log_top1": 1.37}
ARMS = ["baseline", "no_lrn", "non_overlapping_pooling", "no_crops_and_flips"]


def config(study: Path, resolve: float | None = None) -> CompareConfig:
    return CompareConfig(str(study), None, None, None, 25.0, 0.95, [], False, resolve)


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Console:
    screen = Console(
        width=80, force_terminal=True, file=io.StringIO(), highlight=False, soft_wrap=True, color_system=None
    )
    monkeypatch.setattr(terminal, "console", screen)
    monkeypatch.setattr(display, "console", screen)
    return screen


def tables(screen: Console, study: Path) -> list[str]:
    """Print a comparison, and return its lines but for sentences."""
    display.print_comparison(compare(config(study, 0.4)), study)
    assert isinstance(screen.file, io.StringIO)
    lines = screen.file.getvalue().splitlines()
    return [
        line.rstrip() for line in lines if not line.startswith(("Note", "Runs needed", "Add runs", "Report"))
    ]


@pytest.fixture
def piloted(tmp_path: Path) -> Path:
    """A study whose pilot chose another rate for an arm; two of its trials diverged or did not start."""
    study, chosen = tmp_path / "s", {arm: {"optimizer.lr": 0.01} for arm in ARMS}
    chosen["no_crops_and_flips"] = {"optimizer.lr": 0.002}
    for index, arm in enumerate(ARMS):
        settings = FACTORS.get(arm, {}) | chosen[arm]
        claim = CLAIM if arm == "no_lrn" else None
        for seed, part in enumerate((0.0, 0.7, 0.4)):
            error = 25 + index + part * (1 + 0.1 * index)
            write_run(study / arm / f"seed={seed}", error, seed=seed, settings=settings, claim=claim)
    rates = (0.002, 0.01)
    trials = [Trial(arm, {"optimizer.lr": rate}, 100, 30 + rate, True) for arm in ARMS for rate in rates]
    trials.append(Trial("no_lrn", {"optimizer.lr": 0.05}, 100, None, False))
    trials.append(Trial("no_lrn", {"optimizer.lr": 0.05}, 101, 90.0, False))
    arms: dict[str, list[str]] = {arm: [] if arm == "baseline" else [arm] for arm in ARMS}
    seeds = {arm: [0, 1, 2] for arm in ARMS}
    record = StudyRecord(
        *("s", "Every innovation", Design.one_at_a_time, "baseline", ARMS[1:], arms, seeds),
        chosen=chosen,
        trials=trials,
        overrides=["study=innovations"],
    )
    record.write(study)
    return study


def test_one_at_a_time_in_eighty_columns(piloted: Path, screen: Console) -> None:
    lines = tables(screen, piloted)
    assert max(map(len, lines)) <= 80
    (row,) = [line for line in lines if line.startswith(" no_lrn ") and "+1.37" in line]
    assert row.split() == [
        "no_lrn",
        "3",
        "of",
        "3",
        "+1.04",
        *row.split()[5:8],
        "+1.4",
        "+1.37",
        *row.split()[-2:],
    ]
    assert " non_overlapping_" in {line[:17] for line in lines}  # broken behind _, the rest below
    assert " pooling" in lines


def test_a_factorial_in_eighty_columns(tmp_path: Path, screen: Console) -> None:
    factors = ["non_overlapping_pooling", "no_crops_and_flips", "no_lrn"]
    cells = full_factorial(factors)
    errors = {"+".join(cell) or "baseline": [25.0 + index, 25.5 - index] for index, cell in enumerate(cells)}
    trials = [Trial("+".join(factors), {"optimizer.lr": 0.02}, 100, 31.0, True)]
    study = write_factorial(tmp_path / "s", cells, errors, factors, trials=trials, overrides=["study=x"])
    lines = tables(screen, study)
    assert max(map(len, lines)) <= 80
    text = "\n".join(lines)
    for expected in ("removed from the full AlexNet", "Interactions of two factors", "pooling+"):
        assert expected in text


@pytest.mark.parametrize(
    ("name", "width", "expected"),
    [
        ("no_lrn", 10, "no_lrn"),
        ("non_overlapping_pooling", 16, "non_overlapping_\npooling"),
        ("a+b:c=d e", 2, "a+\nb:\nc=\nd\ne"),
        ("x" * 12, 5, "xxxxx\nxxxxx\nxx"),
        ("model.lrn=false model.dropout=0", 16, "model.lrn=false\nmodel.dropout=0"),
    ],
)
def test_names_break_where_they_may(name: str, width: int, expected: str) -> None:
    assert "\n".join(break_name(name, width)) == expected


def test_what_the_pilot_chose_is_beside_the_factor(piloted: Path) -> None:
    comparison = compare(config(piloted))
    assert isinstance(comparison, OneAtATime)
    assert comparison.title == "Every innovation on Imagenette, 10 epochs"
    changes = {arm.name: (arm.factor_text, arm.changes_text) for arm in comparison.arms}
    crops = "data.augment.crop=false"
    assert changes["no_crops_and_flips"] == (crops, f"{crops}; chosen: optimizer.lr=0.002")
    assert changes["no_lrn"] == ("model.lrn=false", "model.lrn=false")
    lines = notes(comparison)
    assert not any("changes 2 keys" in line for line in lines)
    (line,) = [line for line in lines if line.startswith("The pilot chose")]
    assert "no_crops_and_flips optimizer.lr=0.002." in line
    text = markdown_report(comparison).replace("\\", "")
    for row in (
        "| arm | optimizer.lr | held-out error | started | diverged | choice |",
        "| baseline | 0.002 | 30.00% | 1 of 1 | 0 |  |",
        "| no_lrn | 0.01 | 30.01% | 1 of 1 | 0 | chosen |",
        "| no_lrn | 0.05 | - | 0 of 2 | 1 |  |",
        "| no_lrn | +1.4 / ?: Response normalization reduces (§3.3) | +1.37 / ? |",
    ):
        assert row in text
    assert any("optimizer.lr=0.002 |" in line for line in text.splitlines() if line.startswith("| no_crops"))


def test_epochs_that_the_pilot_chose_may_differ(piloted: Path, tmp_path: Path) -> None:
    record: dict[str, Any] = {"trainer.max_epochs": 20}
    study = tmp_path / "epochs"
    for arm, epochs in (("baseline", 10), ("no_lrn", 20)):
        for seed, error in enumerate((25.0, 25.7)):
            settings = FACTORS.get(arm, {}) | {"trainer.max_epochs": epochs}
            write_run(study / arm / f"seed={seed}", error, seed=seed, settings=settings, epochs=epochs)
    arms: dict[str, list[str]] = {"baseline": [], "no_lrn": ["no_lrn"]}
    seeds = {arm: [0, 1] for arm in arms}
    chosen = {"baseline": {"trainer.max_epochs": 10}, "no_lrn": record}
    StudyRecord("s", "S", Design.one_at_a_time, "baseline", ["no_lrn"], arms, seeds, chosen=chosen).write(
        study
    )
    (arm,) = compare(config(study)).arms
    assert (arm.factor_text, arm.tuned_text) == ("model.lrn=false", "trainer.max_epochs=20")


def test_seeds_that_the_record_does_not_plan_are_not_missing(piloted: Path) -> None:
    """The baseline has more seeds than the arms; an arm's run that is planned and missing is named."""
    settings = {"optimizer.lr": 0.01}
    write_run(piloted / "baseline" / "seed=3", 25.3, seed=3, settings=settings)
    assert compare(config(piloted)).excluded == []
    (piloted / "no_lrn" / "seed=2").rename(piloted / "no_lrn" / "seed=2.failed-1")
    (left,) = compare(config(piloted)).excluded
    assert (left.name, left.reason) == ("no_lrn seed=2", "the run does not exist")


def test_sentences_stand_between_their_heading_and_the_table(screen: Console, piloted: Path) -> None:
    lines = tables(screen, piloted)
    heading = lines.index("Which arms can be told apart")
    assert lines[heading + 1].startswith("Arms that share a letter")
    assert "group" in " ".join(lines[heading + 2 : heading + 6])
