"""An evaluation on the terminal."""

from rich import box
from rich.markup import escape
from rich.table import Table

from alexnet.config import ValCrops
from alexnet.evaluation.published import VAL_2012
from alexnet.evaluation.results import CROP_NAMES, Evaluation, crops_in_words
from alexnet.terminal import console, print_table

LISTED = 5  # files left out that are named on the terminal


def print_evaluation(evaluation: Evaluation) -> None:
    """Print the errors, beside published ones on ImageNet; the main confusions, files left out, and notes."""
    print_table(_errors_table(evaluation))
    for kind in evaluation.crops if evaluation.is_imagenet else []:
        print_table(_published_table(evaluation, kind))
    names = evaluation.short_names
    for rank, pair in enumerate(evaluation.predictions.most_confused(3)):
        head = "Confused " if rank == 0 else " " * 9
        share = f"{pair.confused} of {pair.images}"
        what = f"{names[pair.label]} predicted as {names[pair.predicted]}"
        console.print(f"{head} {what}: {share}", markup=False)
    for path, reason in list(evaluation.unreadable.items())[:LISTED]:
        console.print(f"Left out  {path}: {reason}", style="yellow", markup=False)
    if len(evaluation.unreadable) > LISTED:
        console.print(f"Left out  {len(evaluation.unreadable)} files in all; evaluation.json lists them")
    for note in evaluation.notes():
        console.print(f"Note      {note}", markup=False)


def _errors_table(evaluation: Evaluation) -> Table:
    table = _table(f"Errors on {evaluation.data_name}, percent ± standard error")
    for heading in ("network", "crops", "top-1", "top-5", "loss", "samples"):
        table.add_column(heading, justify="left" if heading in ("network", "crops") else "right")
    if not evaluation.predictions.has_top5:
        table.columns.pop(3)
    for name, by_crops in evaluation.all_results:
        style = "bold" if evaluation.ensemble is by_crops else None
        for kind, predictions in by_crops.items():
            metrics = predictions.metrics
            errors = [_with_standard_error(metrics.top1_error, metrics.top1_standard_error)]
            if predictions.has_top5:
                errors.append(_with_standard_error(metrics.top5_error, metrics.top5_standard_error))
            cells = (escape(name), CROP_NAMES[kind], *errors, f"{metrics.loss:.4f}", f"{metrics.samples:,}")
            table.add_row(*cells, style=style)
    return table


def _published_table(evaluation: Evaluation, kind: ValCrops) -> Table:
    table = _table(f"{evaluation.name}, {crops_in_words(kind)}, and published errors")
    for heading in ("", "network", "images", "crops", "top-1", "top-5", "source"):
        table.add_column(heading, justify="right" if heading.startswith("top") else "left")
    metrics = evaluation.primary[kind].metrics
    errors = (_two_decimals(metrics.top1_error), _two_decimals(metrics.top5_error))
    cells = ("*", escape(evaluation.name), VAL_2012, CROP_NAMES[kind], *errors, "measured here")
    table.add_row(*cells, style="bold")
    for row, comparable in evaluation.published(kind):
        if not comparable and not row.source.startswith("paper"):
            continue  # evaluation.json has them
        crops = CROP_NAMES[row.crops] if row.crops else "-"
        errors = (_two_decimals(row.top1_error), _two_decimals(row.top5_error))
        cells = ("*" if comparable else "", row.who, row.split, crops, *errors, row.source)
        table.add_row(*cells, style=None if comparable else "dim")
    return table


def _with_standard_error(error: float | None, standard_error: float | None) -> str:
    if error is None or standard_error is None:
        return "-"
    return f"{error:.2f} ± {standard_error:.2f}"


def _two_decimals(error: float | None) -> str:
    return "-" if error is None else f"{error:.2f}"


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
