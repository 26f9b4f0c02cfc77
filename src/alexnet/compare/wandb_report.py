"""The comparison as a report in Weights & Biases, with live charts of its runs there."""

import os
from collections.abc import Iterable
from typing import Any

from alexnet.compare.comparison import Comparison
from alexnet.compare.documents import markdown_list, markdown_section, markdown_table
from alexnet.compare.outline import Outline, outline
from alexnet.compare.runs import Run, Tracked
from alexnet.compare.tables import excluded_table
from alexnet.errors import UserError, first_line

LONGEST_TITLE = 128  # characters that W&B accepts
CURVES = (
    ("val/top1_error", "validation top-1 error (percent)"),
    ("train/top1_error", "training top-1 error (percent)"),
)
BARS = (
    ("val/top1_error", "top-1 error (percent)"),
    ("val/top5_error", "top-5 error (percent)"),
    ("result.images_per_second", "images/s"),
    ("result.peak_memory_mb", "peak memory (MB)"),
)


def publish(comparison: Comparison) -> tuple[str, int]:
    """Save a new report in the project of the runs; return its address, and how many runs W&B lacks.

    Raises `UserError` where wandb-workspaces is not installed, nobody is logged in, the runs were
    not tracked or are in several projects, or the server does not accept the report.
    """
    tracked = _tracked(run for arm in comparison.all_variants for run in arm.runs)
    try:
        import wandb
        import wandb_workspaces.reports.v2 as reports
    except ImportError as error:
        raise UserError("wandb=true needs the package wandb-workspaces: install it.") from error
    os.environ.setdefault("WANDB_SILENT", "true")
    if not wandb.login(prompt=False, verify=False):
        raise UserError("wandb=true: nobody is logged in to W&B here. Log in first: wandb login")
    try:
        parts = outline(comparison)
        entity = tracked[0].entity or wandb.Api().default_entity or ""
        report = reports.Report(
            project=tracked[0].project,
            entity=entity,
            title=comparison.title[:LONGEST_TITLE],
            description=parts.headline[0],
            blocks=_blocks(comparison, parts, reports, entity, tracked),
            width="fluid",
        )
        report.save()
    except Exception as error:  # wandb raises many types
        raise UserError(f"wandb=true: W&B did not accept the report ({first_line(error)}).") from error
    return report.url, sum(not run.uploaded for run in tracked)


def _tracked(runs: Iterable[Run]) -> list[Tracked]:
    runs = list(runs)
    tracked = [run.tracked for run in runs if run.tracked is not None]
    untracked = [run for run in runs if run.tracked is None]
    if untracked:
        raise UserError(
            f"wandb=true: {len(untracked)} of these runs were made without W&B (logger=wandb),"
            f" {untracked[0].path} among them."
        )
    projects = sorted({f"{run.entity or 'your own'}/{run.project}" for run in tracked})
    if len(projects) > 1:
        raise UserError(f"wandb=true: the runs are in several projects of W&B: {', '.join(projects)}.")
    return tracked


def _blocks(
    comparison: Comparison, parts: Outline, reports: Any, entity: str, tracked: list[Tracked]
) -> list[Any]:
    from wandb_workspaces import expr

    def text(*parts: str) -> Any:
        return reports.MarkdownBlock(text="\n\n".join(parts))

    def panels(*panels: Any) -> Any:
        runs = reports.Runset(
            entity=entity,
            project=tracked[0].project,
            name=comparison.title,
            filters=[expr.Metric("ID").isin([run.id for run in tracked])],
            groupby=["run.jobType"],  # the arm
        )
        return reports.PanelGrid(runsets=[runs], panels=list(panels))

    curves = [
        reports.LinePlot(
            title=title,
            x="epoch",
            y=[metric],
            groupby_aggfunc="mean",
            groupby_rangefunc="minmax",
            layout=reports.Layout(x=12 * column, w=12, h=9),
        )
        for column, (metric, title) in enumerate(CURVES)
    ]
    bars = [
        reports.BarPlot(
            title=title,
            metrics=[reports.SummaryMetric(metric)],
            groupby_aggfunc="mean",
            layout=reports.Layout(x=6 * column, w=6, h=8),
        )
        for column, (metric, title) in enumerate(BARS)
    ]
    filters = reports.MediaBrowser(
        title="filters of conv1", media_keys=["filters"], layout=reports.Layout(w=24, h=10)
    )
    excluded = [markdown_table(excluded_table(comparison.excluded))] if comparison.excluded else []
    return [
        text(markdown_list(parts.headline)),
        text(markdown_section(parts.effects)),
        reports.H2(text="Learning curves: mean over the seeds, lowest to highest"),
        panels(*curves),
        *(text(markdown_section(section)) for section in parts.sections),
        panels(*bars),
        reports.H2(text="What the first layer learned"),
        panels(filters),
        reports.H2(text="To keep in mind"),
        text(*excluded, markdown_list([*parts.notes, *parts.method])),
    ]
