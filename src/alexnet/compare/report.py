"""The files of a comparison: report.html, report.md, results.csv and a PNG for each chart."""

from functools import partial
from pathlib import Path
from typing import Any

from alexnet.compare.charts import applicable_charts
from alexnet.compare.comparison import ArmResult, Comparison
from alexnet.compare.documents import ChartImages, html_report, markdown_report
from alexnet.compare.effects import Effect, Interval
from alexnet.config import CompareConfig
from alexnet.errors import UserError
from alexnet.files import atomic_write_files, write_csv, write_text
from alexnet.plotting import DARK, LIGHT, render


def write_report(comparison: Comparison, config: CompareConfig) -> Path:
    """Write all files, or none where one cannot be written; return the folder that holds them."""
    folder = Path(config.out or config.study or "comparison").expanduser().absolute()
    images = {}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with atomic_write_files(folder) as aside:
            for name, draw in applicable_charts(comparison).items():
                chart = partial(draw, comparison)
                (aside / f"{name}.png").write_bytes(render(chart, LIGHT, "png"))
                images[name] = ChartImages(render(chart, LIGHT, "svg"), render(chart, DARK, "svg"))
            write_text(aside / "report.html", html_report(comparison, images))
            write_text(aside / "report.md", markdown_report(comparison))
            write_csv(aside / "results.csv", _csv_rows(comparison))
    except OSError as error:
        raise UserError(
            f"Cannot write the report to {folder}: {error.strerror}. Give another: out=..."
        ) from error
    return folder


def _csv_rows(comparison: Comparison) -> list[dict[str, Any]]:
    rows = [
        _csv_row(arm, comparison.family.intervals.get(arm.name)) | _csv_metrics(arm, comparison.other_metrics)
        for arm in comparison.all_variants
    ]
    return [{key: _rounded(value) for key, value in row.items()} for row in rows]


def _rounded(value: Any) -> Any:
    """Return a number as text with ten significant digits, as many as means and differences can have."""
    return str(float(f"{value:.10g}")) if isinstance(value, float) else value


def _csv_row(arm: ArmResult, family: Interval | None) -> dict[str, Any]:
    """Return errors in percent and differences in percentage points; None is not known."""
    claim, reached = arm.claim, [epoch for epoch in arm.epochs_to_error if epoch is not None]
    family_low, family_high = family or (None, None)
    return {
        "arm": arm.name,
        "network": arm.network,
        "changes": arm.factor_text if arm.top1 else "",
        "pairs": len(arm.runs),
        "seeds": " ".join(str(run.seed) for run in arm.runs),
        "top1_error": arm.mean(lambda run: run.top1_error),
        "top5_error": arm.mean(lambda run: run.top5_error),
        **_csv_effect("top1", arm.top1),
        "top1_family_low": family_low,
        "top1_family_high": family_high,
        **_csv_effect("top5", arm.top5),
        "paper_top1": claim.top1,
        "paper_top5": claim.top5,
        "paper_section": claim.section,
        "paper_split": claim.split,
        "log_top1": claim.log_top1,
        "log_top5": claim.log_top5,
        "log_split": claim.log_split,
        "log_file": claim.log_file,
        "epochs_to_training_error": arm.epochs_needed,
        "runs_that_reached_it": len(reached),
        "images_per_second": arm.mean(lambda run: run.images_per_second),
        "wall_seconds": arm.mean(lambda run: run.wall_seconds),
        "peak_memory_mb": arm.mean(lambda run: run.peak_memory_mb),
        "parameters": arm.mean(lambda run: run.parameters),
    }


def _csv_metrics(arm: ArmResult, names: list[str]) -> dict[str, Any]:
    """Return the mean of each other metric, and its difference with the interval."""
    columns: dict[str, Any] = {}
    for name in names:
        effect = arm.other_effects.get(name)
        low, high = (effect and effect.interval) or (None, None)
        columns[name] = arm.mean_metric(name)
        columns |= {f"{name}_difference": effect and effect.mean, f"{name}_low": low, f"{name}_high": high}
    return columns


def _csv_effect(name: str, effect: Effect | None) -> dict[str, Any]:
    low, high = (effect and effect.interval) or (None, None)
    return {
        f"{name}_difference": effect and effect.mean,
        f"{name}_low": low,
        f"{name}_high": high,
        f"{name}_verdict": effect and effect.significance.value,
    }
