"""The report of an evaluation: files, terminal and W&B."""

import csv
import io
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from alexnet.config import EvaluateConfig, ValCrops
from alexnet.evaluation.figures import draw_confusion, draw_per_class, draw_worst
from alexnet.evaluation.predictions import ErrorMetrics, Predictions
from alexnet.evaluation.published import VAL_2012
from alexnet.evaluation.results import Evaluation
from alexnet.files import atomic_write
from alexnet.runs.tracking import track_later_results
from alexnet.terminal import console

PICTURES = {"confusion": draw_confusion, "per_class": draw_per_class, "worst": draw_worst}


def write_report(found: Evaluation, folder: Path, config: EvaluateConfig) -> None:
    """Write all of it into a folder that is there, in the place of an earlier evaluation. `OSError` where
    that cannot be done.
    """
    _write(folder / "evaluation.json", json.dumps(_content(found, config), indent=2, allow_nan=False) + "\n")
    _write(folder / "per_class.csv", _csv(_per_class_rows(found)))
    _write(folder / "confusion.csv", _csv(_confusion_rows(found)))
    _write(folder / "predictions.csv", _csv(_prediction_rows(found)))
    for name, draw in PICTURES.items():
        path = folder / f"{name}.png"
        path.unlink(missing_ok=True)  # without a mistake there is no sheet of them
        draw(found, path)


def _content(found: Evaluation, config: EvaluateConfig) -> dict[str, Any]:
    classes = found.data.classes
    settings = {
        "crops": [kind.value for kind in found.crops],
        "batch_size": config.batch_size,
        "precision": "float32",
        "data": found.images_of,
        "origin": found.data.origin,
        "fingerprint": found.data.fingerprint,
    }
    content: dict[str, Any] = {
        "settings": settings,
        "name": found.name,
        "figures": _error_metrics(found.subject),
        "members": [
            {
                "name": member.name,
                "run": str(member.run) if member.run else None,
                "checkpoint": str(member.trained.checkpoint),
                "network": type(member.trained.network).__name__,
                "image_size": member.trained.crops.size,
                "figures": _error_metrics(verdicts),
            }
            for member, verdicts in zip(found.members, found.member_predictions, strict=True)
        ],
        "notes": found.notes(),
        "unreadable": [{"file": path, "reason": why} for path, why in sorted(found.unreadable.items())],
        "classes": [
            {
                "class": classes[number],
                "name": found.class_names[number],
                "images": images,
                **{kind.value: _class_errors(verdict, number) for kind, verdict in found.subject.items()},
            }
            for number, images in enumerate(found.verdict.class_images.tolist())
        ],
        "confusion": {
            kind.value: _confusion(verdict.confusion, classes) for kind, verdict in found.subject.items()
        },
    }
    if found.is_imagenet:
        content["published"] = {kind.value: _published_rows(found, kind) for kind in found.crops}
    return content


def _published_rows(found: Evaluation, kind: ValCrops) -> list[dict[str, Any]]:
    return [
        asdict(row) | {"crops": row.crops and row.crops.value, "comparable": comparable}
        for row, comparable in found.published(kind)
    ]


def _error_metrics(verdicts: dict[ValCrops, Predictions]) -> dict[str, Any]:
    return {
        kind.value: {key: value for key, value in verdict.figures._asdict().items() if value is not None}
        for kind, verdict in verdicts.items()
    }


def _class_errors(verdict: Predictions, number: int) -> dict[str, Any]:
    images = int(verdict.class_images[number])
    if not images:
        return {}
    errors = {"top1_error": 100 * int(verdict.class_wrong[number]) / images}
    if verdict.has_top5:
        errors["top5_error"] = 100 * int(verdict.class_wrong_top5[number]) / images
    return errors


def _confusion(counts: Any, classes: Sequence[str]) -> dict[str, dict[str, int]]:
    """{class: {verdict: images}}, without what there is none of: a thousand classes have a million pairs."""
    table: dict[str, dict[str, int]] = {name: {} for name in classes}
    for row, col in np.argwhere(counts).tolist():
        table[classes[row]][classes[col]] = int(counts[row, col])
    return table


def _per_class_rows(found: Evaluation) -> Iterable[list[Any]]:
    """Errors in percent for each kind of crops."""
    keys = ["top1_error", "top5_error"] if found.verdict.has_top5 else ["top1_error"]
    errors = [(kind, key) for kind in found.crops for key in keys]
    yield ["class", "name", "images", *(f"{kind.value}_{key}" for kind, key in errors)]
    for number, images in enumerate(found.verdict.class_images.tolist()):
        each = {kind: _class_errors(verdict, number) for kind, verdict in found.subject.items()}
        values = [each[kind].get(key, math.nan) for kind, key in errors]
        shown = ["" if math.isnan(value) else f"{value:.6g}" for value in values]
        yield [found.data.classes[number], found.class_names[number], images, *shown]


def _confusion_rows(found: Evaluation) -> Iterable[list[Any]]:
    """Numbers of images: a row for each class, a column for each verdict; by the main crops."""
    yield ["class", *found.data.classes]
    for name, counts in zip(found.data.classes, found.verdict.confusion.tolist(), strict=True):
        yield [name, *counts]


def _prediction_rows(found: Evaluation) -> Iterable[list[Any]]:
    """For each image and kind of crops its most probable classes, the first the most."""
    classes, images = found.data.classes, found.data.images
    places = range(1, found.verdict.top.shape[1] + 1)
    yield [
        "file",
        "class",
        "crops",
        *(f"{what}_{place}" for place in places for what in ("class", "probability")),
    ]
    lists = {
        kind: (verdict.top.tolist(), verdict.top_probabilities.tolist())
        for kind, verdict in found.subject.items()
    }
    for place, row in enumerate(found.rows.tolist()):
        for kind, (top, top_probabilities) in lists.items():
            pairs = zip(top[place], top_probabilities[place], strict=True)
            cells = (cell for number, chance in pairs for cell in (classes[number], f"{chance:.6g}"))
            yield [images.path(row), classes[images.labels[row]], kind.value, *cells]


def _csv(rows: Iterable[list[Any]]) -> str:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue()


def _write(path: Path, text: str) -> None:
    with atomic_write(path) as file:
        file.write(text.encode(errors="surrogateescape"))


def track(found: Evaluation, folder: Path) -> None:
    """Add figures and pictures to the W&B run of the run that was evaluated, where it has one."""
    run = found.members[0].run
    if run is None:
        return
    summary = {
        f"eval/{kind.value}/{name}": value
        for kind, verdict in found.subject.items()
        for name, value in verdict.figures._asdict().items()
        if value is not None
    }
    pictures = {
        f"eval/{name}": folder / f"{name}.png" for name in PICTURES if (folder / f"{name}.png").is_file()
    }
    track_later_results(run, summary, pictures)


CROP_NAMES = {ValCrops.center: "centre", ValCrops.ten: "ten"}
LISTED = 5  # files left out that are named on the terminal


def print_evaluation(found: Evaluation) -> None:
    """The errors, beside published ones on ImageNet; what is confused, what is left out, what to mind."""
    _print(_errors_table(found))
    for kind in found.crops if found.is_imagenet else []:
        _print(_published_table(found, kind))
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


def format_error_metric(value: float | None, error: float | None) -> str:
    """An error with its standard error."""
    return "-" if value is None or error is None else f"{value:.2f} ± {error:.2f}"


def _errors_table(found: Evaluation) -> Table:
    table = _table(f"Errors on {found.images_of}, percent ± standard error")
    for heading in ("network", "crops", "top-1", "top-5", "loss", "samples"):
        table.add_column(heading, justify="left" if heading in ("network", "crops") else "right")
    if not found.verdict.has_top5:
        table.columns.pop(3)
    for name, verdicts in found.all_results:
        for kind, verdict in verdicts.items():
            of = verdict.figures
            top5 = [format_error_metric(of.top5_error, of.top5_standard_error)] if verdict.has_top5 else []
            top1 = format_error_metric(of.top1_error, of.top1_standard_error)
            style = "bold" if found.ensemble is verdicts else None
            cells = (escape(name), CROP_NAMES[kind], top1, *top5, f"{of.loss:.4f}", f"{of.samples:,}")
            table.add_row(*cells, style=style)
    return table


def _published_table(found: Evaluation, kind: ValCrops) -> Table:
    table = _table(
        f"{found.name}, {CROP_NAMES[kind]} crop{'s' * (kind is ValCrops.ten)}, beside published errors"
    )
    for heading in ("", "network", "images", "crops", "top-1", "top-5", "source"):
        table.add_column(heading, justify="right" if heading.startswith("top") else "left")
    ours: ErrorMetrics = found.subject[kind].figures
    cells = (
        VAL_2012,
        CROP_NAMES[kind],
        f"{ours.top1_error:.2f}",
        _two_decimals(ours.top5_error),
        "measured here",
    )
    table.add_row("*", escape(found.name), *cells, style="bold")
    for row, comparable in found.published(kind):
        if not comparable and not row.source.startswith("paper"):
            continue  # evaluation.json has them
        crops = CROP_NAMES[row.crops] if row.crops else "-"
        cells = (row.split, crops, _two_decimals(row.top1_error), _two_decimals(row.top5_error), row.source)
        table.add_row("*" if comparable else "", row.who, *cells, style=None if comparable else "dim")
    return table


def _two_decimals(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)


def _print(table: Table) -> None:
    # what is piped has no width: wide enough for every cell
    wide = console if console.is_terminal else Console(width=200, highlight=False)
    wide.print(table, soft_wrap=False)
