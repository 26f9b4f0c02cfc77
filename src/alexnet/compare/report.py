"""The files of a comparison, and its table on the terminal."""

import csv
from functools import partial
from pathlib import Path
from shlex import quote
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table as RichTable

from alexnet.compare.charts import charts_of
from alexnet.compare.comparison import ArmResult, Comparison
from alexnet.compare.documents import ChartImages, html_report, markdown_report
from alexnet.compare.effects import Effect
from alexnet.compare.tables import Table, costs_table, short_effects_table
from alexnet.config import CompareConfig
from alexnet.errors import UserError
from alexnet.plotting import DARK, LIGHT, render
from alexnet.terminal import console


def write_report(comparison: Comparison, config: CompareConfig) -> Path:
    """Write report.html, report.md, results.csv and a PNG for each chart; the folder that holds them."""
    folder = Path(config.out or config.study or "comparison").expanduser().absolute()
    pictures = {}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, draw in charts_of(comparison).items():
            drawn = partial(draw, comparison)
            (folder / f"{name}.png").write_bytes(render(drawn, LIGHT, "png"))
            pictures[name] = ChartImages(render(drawn, LIGHT, "svg"), render(drawn, DARK, "svg"))
        (folder / "report.html").write_text(html_report(comparison, pictures), encoding="utf-8")
        (folder / "report.md").write_text(markdown_report(comparison), encoding="utf-8")
        _write_csv(comparison, folder / "results.csv")
    except OSError as error:
        raise UserError(
            f"Cannot write the report to {folder}: {error.strerror}. Give another: out=..."
        ) from error
    return folder


def print_comparison(comparison: Comparison, folder: Path) -> None:
    """The tables, what does not count, what to keep in mind, and where the report is."""
    _print_table(
        short_effects_table(comparison), f"Error, arm minus {comparison.baseline.name} (percentage points)"
    )
    _print_table(costs_table(comparison), "Errors, epochs and cost")
    console.print(f"Measured on {comparison.split}; claims are of top-1 error.", markup=False)
    for each in comparison.excluded:
        console.print(f"Left out  {each.name}: {each.reason}", markup=False, style="yellow")
    for note in comparison.notes():
        console.print(f"Note      {note}", markup=False)
    console.print(f"Report    {folder / 'report.html'}", markup=False)


def print_address(address: str, waiting: int, config: CompareConfig) -> None:
    """Where the W&B report is, and what to type for the `waiting` runs that W&B does not have yet."""
    console.print(f"W&B       {address}", markup=False, soft_wrap=True)
    if waiting:
        runs = config.runs or f"{quote(str(config.study))}/*/*"
        console.print(
            f"Note      {waiting} of the runs are not in W&B yet; its charts need them. To upload:"
            f" wandb sync {runs}/wandb/offline-run-*",
            markup=False,
            soft_wrap=True,
        )


def _print_table(table: Table, title: str) -> None:
    shown = RichTable(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    shown.padding, shown.pad_edge = (0, 1, 0, 0), False
    for heading in table.headings:
        words = heading in ("arm", "top-1 is")  # only these give way in a narrow terminal
        shown.add_column(heading.replace(" ", "\n"), no_wrap=not words, overflow="fold")
    for row in table.rows:
        shown.add_row(*map(escape, row))
    # what is piped has no width: wide enough for every cell
    wide = console if console.is_terminal else Console(width=200, highlight=False)
    wide.print(shown, soft_wrap=False)


def _write_csv(comparison: Comparison, path: Path) -> None:
    rows = [_csv_row(arm) for arm in comparison.all_variants]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def _csv_row(arm: ArmResult) -> dict[str, Any]:
    """Errors in percent, differences in percentage points; an empty cell is not known."""
    claim, reached = arm.claim, [epoch for epoch in arm.epochs_to_error if epoch is not None]
    return {
        "arm": arm.name,
        "network": arm.network,
        "changes": arm.factor_text if arm.top1 else "",
        "pairs": len(arm.runs),
        "seeds": " ".join(str(run.seed) for run in arm.runs),
        "top1_error": arm.mean(lambda run: run.top1_error),
        "top5_error": arm.mean(lambda run: run.top5_error),
        **_csv_effect("top1", arm.top1),
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


def _csv_effect(name: str, effect: Effect | None) -> dict[str, Any]:
    low, high = (effect and effect.interval) or (None, None)
    return {
        f"{name}_difference": effect and effect.mean,
        f"{name}_low": low,
        f"{name}_high": high,
        f"{name}_verdict": effect and effect.verdict.value,
    }
