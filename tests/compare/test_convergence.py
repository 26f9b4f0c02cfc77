"""Epochs to a training error, and the ratio of two arms' with Fieller's interval."""

import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from scipy import optimize, stats

from alexnet.compare.charts import applicable_charts
from alexnet.compare.comparison import Comparison, compare
from alexnet.compare.convergence import convergence, epochs_by_error, ratio_of_means
from alexnet.compare.documents import markdown_report
from alexnet.compare.spreadsheets import csv_files
from alexnet.config import CompareConfig
from alexnet.plotting import LIGHT, render
from fabricated_runs import write_run

SLOW = {"model.activation": "tanh"}
STOPPING = {"callbacks": {"train_eval": {"stop_below": 25}}}  # the runs have as many epochs as they needed


def write_arm(study: Path, name: str, epochs: Sequence[float | None], claim: float | None = None) -> None:
    """Write an arm whose noise-free error falls in a line, from 90% to 25% after so many epochs."""
    for seed, needed in enumerate(epochs):
        slope = 65 / needed if needed else 1.0
        last = math.ceil(needed) if needed else 10
        errors = [90 - slope * epoch for epoch in range(1, last + 1)]
        settings = (SLOW if name != "baseline" else {}) | STOPPING
        said = None if claim is None else {"text": "slower", "section": "3.1", "epochs_ratio": claim}
        folder = study / name / f"seed={seed}"
        run = write_run(folder, 40.0 + seed, seed=seed, settings=settings, claim=said, epochs=last)
        rows = [f"{number},{error}" for number, error in enumerate(errors, 1)]
        (run / "metrics.csv").write_text("epoch,train_eval/top1_error\n" + "\n".join(rows) + "\n")


def study(folder: Path, baseline: Sequence[float | None], tanh: Sequence[float | None]) -> Comparison:
    write_arm(folder / "s", "baseline", baseline)
    write_arm(folder / "s", "tanh", tanh, claim=6.0)
    return compare(CompareConfig(str(folder / "s"), None, None, None, 25.0, 0.95, []))


def drawn(comparison: Comparison) -> bytes:
    draw = applicable_charts(comparison)["training_error"]
    return render(partial(draw, comparison), LIGHT, "png")


def test_epochs_are_interpolated_and_compared(tmp_path: Path) -> None:
    comparison = study(tmp_path, [4.5, 5.5, 5.0], [14.0, 16.25, 15.5])
    relu, tanh = convergence(comparison)
    assert relu.epochs == pytest.approx([4.5, 5.5, 5.0])
    assert tanh.epochs == pytest.approx([14.0, 16.25, 15.5])
    assert relu.ratio is None
    assert tanh.ratio is not None
    assert tanh.ratio.value == pytest.approx(15.25 / 5)
    (row,) = [row for row in csv_files(comparison)["arms.csv"] if row["arm"] == "tanh"]
    assert float(row["epochs_ratio"]) == pytest.approx(15.25 / 5)
    report = markdown_report(comparison)
    assert comparison.title == "s on Imagenette, 5 to 17 epochs"
    assert "tanh takes 3.05 times as many epochs as baseline to reach 25% training error" in report
    assert "the paper's 6 is outside the interval" in report
    assert "| tanh | 3 of 3 | 15.25 | 1.15 | 3.05 |" in report
    assert render(
        lambda theme: applicable_charts(comparison)["training_error"](comparison, theme), LIGHT, "png"
    )


def test_a_run_that_does_not_reach_the_error_is_counted(tmp_path: Path) -> None:
    comparison = study(tmp_path, [4.5, 5.5], [14.0, None])
    _, tanh = convergence(comparison)
    assert (tanh.epochs, tanh.ratio) == (pytest.approx([14.0]), None)
    assert "| tanh | 1 of 2 | 14.00 | - | - | - | 6 |" in markdown_report(comparison)
    levels = np.array([89.0, 81.0, 25.0])
    assert epochs_by_error(tanh.arm, levels)[1] == pytest.approx([1.0, 9.0, math.nan], nan_ok=True)
    assert render(
        lambda theme: applicable_charts(comparison)["training_error"](comparison, theme), LIGHT, "png"
    )


def test_without_the_noise_free_error_there_is_neither_table_nor_chart(tmp_path: Path) -> None:
    for name in ("baseline", "tanh"):
        write_run(tmp_path / "s" / name / "seed=0", 40.0, settings=SLOW if name == "tanh" else {})
    comparison = compare(CompareConfig(str(tmp_path / "s"), None, None, None, 25.0, 0.95, []))
    assert convergence(comparison) == []
    assert "training_error" not in applicable_charts(comparison)
    assert "epochs_ratio" not in csv_files(comparison)["arms.csv"][0]


def test_the_interval_holds_what_the_test_does_not_reject() -> None:
    """Fieller's definition, solved by a root finder: |mean(a) - r mean(b)| = t times its standard error."""
    a, b = np.array([14.0, 16.0, 15.5, 18.0]), np.array([4.5, 5.5, 5.0, 6.2, 4.1])
    found = ratio_of_means(a.tolist(), b.tolist(), 0.95)
    va, vb = a.var(ddof=1) / 4, b.var(ddof=1) / 5
    r = a.mean() / b.mean()
    freedom = (va + r**2 * vb) ** 2 / (va**2 / 3 + (r**2 * vb) ** 2 / 4)
    t = stats.t.ppf(0.975, freedom)

    def beyond(ratio: float) -> float:
        return abs(a.mean() - ratio * b.mean()) - t * math.sqrt(va + ratio**2 * vb)

    assert found.interval == pytest.approx(
        (optimize.brentq(beyond, 0, r), optimize.brentq(beyond, r, 10 * r)), rel=1e-6
    )


def test_no_interval_without_spread_or_for_single_values() -> None:
    assert ratio_of_means([6.0], [2.0, 3.0], 0.95).interval is None
    assert ratio_of_means([6.0, 6.0], [2.0, 2.0], 0.95).interval is None
    assert ratio_of_means([6.0, 7.0], [0.1, 9.0], 0.95).interval is None  # the mean may be zero


@pytest.mark.slow
def test_coverage() -> None:
    """Of 10,000 pairs of samples 94 to 96 percent of intervals hold the true ratio; the bootstrap's agree."""
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(10_000):
        a, b = rng.normal(15, 2, 10), rng.normal(5, 0.6, 10)
        interval = ratio_of_means(a.tolist(), b.tolist(), 0.95).interval
        assert interval is not None
        held += interval[0] <= 3 <= interval[1]
    assert 9_400 <= held <= 9_600
    a, b = rng.normal(15, 2, 200), rng.normal(5, 0.6, 200)
    resampled = stats.bootstrap((a, b), lambda x, y, axis: x.mean(axis) / y.mean(axis), rng=rng)
    assert ratio_of_means(a.tolist(), b.tolist(), 0.95).interval == pytest.approx(
        resampled.confidence_interval, rel=0.01
    )
