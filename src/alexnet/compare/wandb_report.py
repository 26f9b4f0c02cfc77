"""The comparison as a report and a saved view in Weights & Biases, with live charts of its runs there."""

import os
from typing import Any, NamedTuple

from alexnet.compare.comparison import Comparison
from alexnet.compare.documents import markdown_list, markdown_section, markdown_table
from alexnet.compare.outline import Outline, outline
from alexnet.compare.runs import Tracked
from alexnet.compare.tables import excluded_table
from alexnet.compare.wandb_run import tracked_runs
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
PINNED = ("val/top1_error", "val/top5_error")


class Published(NamedTuple):
    """The addresses of a report and of a saved view, and how many of the runs W&B lacks."""

    report: str
    view: str
    waiting: int


def publish(comparison: Comparison) -> Published:
    """Save a new report, and a view of the runs by arm, in their project.

    Raises `UserError` where wandb-workspaces is not installed, nobody is logged in, the runs were
    not tracked or are in several projects, or the server does not accept what it is sent.
    """
    tracked = tracked_runs(comparison)
    try:
        import wandb
        import wandb_workspaces.reports.v2 as reports
    except ImportError as error:
        raise UserError("wandb=true needs the package wandb-workspaces: install it.") from error
    os.environ.setdefault("WANDB_SILENT", "true")
    if not wandb.login(prompt=False, verify=False):
        raise UserError(
            "wandb=true: not logged in to W&B. Log in first: wandb login. Without a login, wandb_run=true"
            " makes a run that you can upload later."
        )
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
        view = _view(comparison, reports, entity, tracked)
        view.save()
    except Exception as error:  # wandb raises many types
        raise UserError(f"wandb=true: W&B did not accept the report ({first_line(error)}).") from error
    return Published(report.url, view.url, sum(not run.uploaded for run in tracked))


def _view(comparison: Comparison, reports: Any, entity: str, tracked: list[Tracked]) -> Any:
    """Return a workspace of these runs, grouped by arm, with their curves and errors."""
    import wandb_workspaces.workspaces as workspaces
    from wandb_workspaces import expr

    panels = [*_curves(reports), *_bars(reports)]
    return workspaces.Workspace(
        entity=entity,
        project=tracked[0].project,
        name=comparison.title[:LONGEST_TITLE],
        sections=[workspaces.Section(name="Errors and cost by arm", panels=panels, is_open=True)],
        runset_settings=workspaces.RunsetSettings(
            filters=[expr.Metric("ID").isin([run.id for run in tracked])],
            groupby=[expr.Metric("JobType")],  # the arm
            pinned_columns=[f"summary:{metric}" for metric in PINNED],
        ),
    )


def _curves(reports: Any) -> list[Any]:
    """Return the learning curves: mean over the seeds, lowest to highest."""
    return [
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


def _bars(reports: Any) -> list[Any]:
    """Return errors and costs of the arms: means over the seeds."""
    return [
        reports.BarPlot(
            title=title,
            metrics=[reports.SummaryMetric(metric)],
            groupby_aggfunc="mean",
            layout=reports.Layout(x=6 * column, w=6, h=8),
        )
        for column, (metric, title) in enumerate(BARS)
    ]


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

    filters = reports.MediaBrowser(
        title="filters of conv1", media_keys=["filters"], layout=reports.Layout(w=24, h=10)
    )
    excluded = [markdown_table(excluded_table(comparison.excluded))] if comparison.excluded else []
    return [
        text(markdown_list(parts.headline)),
        text(markdown_section(parts.effects)),
        reports.H2(text="Learning curves: mean over the seeds, lowest to highest"),
        panels(*_curves(reports)),
        *(text(markdown_section(section)) for section in parts.sections),
        panels(*_bars(reports)),
        reports.H2(text="What the first layer learned"),
        panels(filters),
        reports.H2(text="Notes"),
        text(*excluded, markdown_list([*parts.notes, *parts.method])),
    ]
