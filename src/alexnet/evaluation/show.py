"""An evaluation on the terminal."""

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from alexnet.choices import ValCrops
from alexnet.evaluation.evaluation import Evaluation
from alexnet.evaluation.replications import VAL_2012
from alexnet.evaluation.verdict import Figures
from alexnet.progress import console

CROPS = {ValCrops.center: "centre", ValCrops.ten: "ten"}
LISTED = 5  # files left out that are named on the terminal


def print_evaluation(found: Evaluation) -> None:
    """The errors, beside published ones on ImageNet; what is confused, what is left out, what to mind."""
    _print(_errors(found))
    for kind in found.crops if found.is_imagenet else []:
        _print(_published(found, kind))
    names = found.short_names
    for place, pair in enumerate(found.verdict.most_confused(3)):
        head = "Confused " if place == 0 else " " * 9
        share = f"{pair.times} of {pair.images}"
        console.print(f"{head} {names[pair.right]} taken for {names[pair.taken_for]}: {share}", markup=False)
    for path, reason in list(found.unreadable.items())[:LISTED]:
        console.print(f"Left out  {path}: {reason}", style="yellow", markup=False)
    if len(found.unreadable) > LISTED:
        console.print(f"Left out  {len(found.unreadable)} files in all; evaluation.json names them")
    for note in found.notes():
        console.print(f"Note      {note}", markup=False)


def percent(value: float | None, error: float | None) -> str:
    """An error with its standard error."""
    return "-" if value is None or error is None else f"{value:.2f} ± {error:.2f}"


def _errors(found: Evaluation) -> Table:
    table = _table(f"Errors on {found.images_of}, percent ± standard error")
    for heading in ("network", "crops", "top-1", "top-5", "loss", "samples"):
        table.add_column(heading, justify="left" if heading in ("network", "crops") else "right")
    if not found.verdict.has_top5:
        table.columns.pop(3)
    for name, verdicts in found.everyone:
        for kind, verdict in verdicts.items():
            of = verdict.figures
            top5 = [percent(of.top5_error, of.top5_standard_error)] if verdict.has_top5 else []
            top1 = percent(of.top1_error, of.top1_standard_error)
            style = "bold" if found.ensemble is verdicts else None
            cells = (escape(name), CROPS[kind], top1, *top5, f"{of.loss:.4f}", f"{of.samples:,}")
            table.add_row(*cells, style=style)
    return table


def _published(found: Evaluation, kind: ValCrops) -> Table:
    table = _table(f"{found.name}, {CROPS[kind]} crop{'s' * (kind is ValCrops.ten)}, beside published errors")
    for heading in ("", "network", "images", "crops", "top-1", "top-5", "source"):
        table.add_column(heading, justify="right" if heading.startswith("top") else "left")
    ours: Figures = found.subject[kind].figures
    cells = (VAL_2012, CROPS[kind], f"{ours.top1_error:.2f}", _error(ours.top5_error), "measured here")
    table.add_row("*", escape(found.name), *cells, style="bold")
    for row, comparable in found.published(kind):
        if not comparable and not row.source.startswith("paper"):
            continue  # evaluation.json has them
        crops = CROPS[row.crops] if row.crops else "-"
        cells = (row.split, crops, _error(row.top1_error), _error(row.top5_error), row.source)
        table.add_row("*" if comparable else "", row.who, *cells, style=None if comparable else "dim")
    return table


def _error(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)


def _print(table: Table) -> None:
    # what is piped has no width: wide enough for every cell
    wide = console if console.is_terminal else Console(width=200, highlight=False)
    wide.print(table, soft_wrap=False)
