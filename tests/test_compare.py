"""`python src/compare.py` as a user runs it."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from alexnet.studies.design import arm_name
from conftest import PROJECT, SMALL, Train
from fabricated_runs import full_factorial, write_factorial, write_run, write_study


def test_a_study(train: Train, tmp_path: Path) -> None:
    """A planted effect is found; the baseline under another name, with and without noise, is not."""
    arms = {
        "baseline": ({}, [20.0, 21.0, 22.0]),
        "same_again": ({}, [20.0, 21.0, 22.0]),
        "null": ({}, [20.5, 20.8, 21.9]),
        "no_dropout": ({"model.dropout": 0.0}, [28.0, 29.1, 30.0]),
    }
    study = write_study(tmp_path / "my study", arms)
    write_run(study / "tanh" / "seed=0", 0.0, status="failed", error="Bang [red]")
    done = train(f"study={study}", program="compare.py")
    assert done.status == 0, done.err
    for expected in (
        # sums of squares 2, 2, 1.086667 and 2.006667: variance 0.886667 with 8 degrees of freedom; half of
        # the interval is 2.306004 (Student's t) times sqrt(0.886667 * 2 / 3), 1.772952
        r"no_dropout +3 of 3 +\+8.03 +\+6.26 to \+9.81 +- +- +higher error",
        r"same_again +3 of 3 +\+0.00 +-1.77 to \+1.77 .* not resolved",
        r"null +3 of 3 +\+0.07 +-1.71 to \+1.84 .* not resolved",
        r"Left out  tanh seed=0: failed: Bang \[red\]",
        "standard deviation 0.94 points, 8 degrees of freedom",
    ):
        assert re.search(expected, done.out), (expected, done.out)
    names = {"report.html", "report.md", "arms.csv", "effects.png", "learning_curves.png", "cost.png"}
    assert names <= {path.name for path in study.iterdir()}


def test_any_runs(train: Train, tmp_path: Path) -> None:
    for number, settings in enumerate(({}, {"model.lrn": False}, {"model.dropout": 0.0})):
        for seed in (0, 1):
            write_run(tmp_path / f"runs/{number}{seed}", 20.0 + number + seed, seed=seed, settings=settings)
    done = train("runs=runs/*", f"out={tmp_path / 'here'}", program="compare.py")
    assert done.status == 0, done.err
    assert "model.lrn=false" in done.out
    assert "model.dropout=0.0" in done.out
    assert (tmp_path / "here" / "report.html").is_file()
    assert not (PROJECT / "comparison").exists()


def test_results_without_their_runs(train: Train, tmp_path: Path) -> None:
    """The files that a report leaves make the same report; several of them are listed."""
    study = write_study(
        tmp_path / "study", {"baseline": ({}, [20.0, 20.5]), "no_lrn": ({"model.lrn": False}, [21.0, 21.75])}
    )
    first = train(f"study={study}", "out=results/lrn", program="compare.py")
    assert first.status == 0, first.err
    shutil.rmtree(study)
    report = (tmp_path / "results/lrn/report.md").read_text()
    again = train("study=results", program="compare.py")  # the only one
    assert again.status == 0, again.err
    assert (tmp_path / "results/lrn/report.md").read_text() == report
    shutil.copytree(tmp_path / "results/lrn", tmp_path / "results/other")
    several = train("study=results", program="compare.py")
    assert re.search(r"Error: study=results: contains 2 studies.*study=results/lrn\n", several.err, re.DOTALL)


def test_a_factorial_and_the_command_that_adds_runs(train: Train, tmp_path: Path) -> None:
    factors, errors = ["no_lrn", "tanh"], ([25.0, 25.4], [26.1, 26.2], [31.0, 31.5], [32.2, 32.9])
    cells = full_factorial(factors)
    named = {arm_name(cell, "baseline"): both for cell, both in zip(cells, errors, strict=True)}
    typed = ["study=x", "study.design=factorial"]
    study = write_factorial(tmp_path / "a study", cells, named, factors, overrides=typed)
    done = train(f"study={study}", "resolve=0.2", program="compare.py")
    assert done.status == 0, done.err
    # by hand: half of (31 + 31.5 + 32.2 + 32.9 - 25 - 25.4 - 26.1 - 26.2) / 2 = 6.225
    assert re.search(r"tanh +4 of 4 +\+6.2[23] .* higher error", done.out)
    assert "Error, averaged over the others (percentage points)" in done.out
    assert "Add runs  python src/train.py -m study=x study.design=factorial study.seeds=" in done.out
    names = {"report.html", "report.md", "arms.csv", "effects.csv", "pareto.png", "interactions.png"}
    assert names <= {path.name for path in study.iterdir()}
    for name in ("report.html", "report.md"):
        assert "study.design=factorial study.seeds=" in (study / name).read_text()


def test_mistakes_in_one_line(train: Train, tmp_path: Path) -> None:
    study = write_study(
        tmp_path / "study", {"baseline": ({}, [20.0]), "no_lrn": ({"model.lrn": False}, [21.0])}
    )
    (tmp_path / "file").write_text("")
    for arguments, expected in (
        ((), "Specify what to compare: study=<folder>, runs='<pattern>' or results=<folder with results>."),
        (("study=a", "runs=b"), "Specify what to compare"),
        (("study=/nowhere/study",), "there is no such folder"),
        (("runs=nothing*",), "none of the 0 matching paths is a run folder"),
        ((f"study={study}", "stduy=x"), "Did you mean study?"),
        ((f"study={study}", "allow=[cod]"), "Did you mean code? Choices: code, data, epochs, precision."),
        ((f"study={study}", "resolve=0"), "resolve=0.0: expected percentage points above 0, below 100."),
        ((f"study={study}", "resolve=1"), "cannot estimate the spread between runs, because no arm has two"),
        ((f"study={study}", "confidence=95"), "confidence=95.0: expected a number between 0 and 1."),
        ((f"study={study}", f"out={tmp_path / 'file'}"), "Cannot write the report to"),
    ):
        done = train(*arguments, program="compare.py")
        assert (done.status, done.out) == (1, ""), arguments
        assert expected in done.err
        assert len(done.err.splitlines()) == 1, done.err


def test_torch_is_not_needed() -> None:
    code = "import compare, alexnet.compare.report, sys; print('torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT / "src", capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"


@pytest.mark.slow
def test_what_training_leaves_can_be_compared(
    train: Train, synthetic: tuple[str, ...], tmp_path: Path
) -> None:
    study = tmp_path / "study"
    for arm, change in (("baseline", "model.lrn=true"), ("no_lrn", "model.lrn=false")):
        run = train(*SMALL, *synthetic, "logger=csv", change, f"run_folder={study / arm / 'seed=0'}")
        assert run.status == 0, run.err
    done = train(f"study={study}", program="compare.py")
    assert done.status == 0, done.err
    assert re.search("one pair: no interval|no pair started", done.out)
    assert "model.lrn=false" in (study / "report.md").read_text()
