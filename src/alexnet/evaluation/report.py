"""The files of an evaluation: evaluation.json, per_class.csv, confusion.csv, predictions.csv and pictures."""

import csv
import io
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from alexnet.choices import ValCrops
from alexnet.config import EvaluateConfig
from alexnet.evaluation.evaluation import Evaluation
from alexnet.evaluation.pictures import draw_confusion, draw_per_class, draw_worst
from alexnet.evaluation.verdict import Verdict
from alexnet.run.whole_file import written_whole

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
        "figures": _figures(found.subject),
        "members": [
            {
                "name": member.name,
                "run": str(member.run) if member.run else None,
                "checkpoint": str(member.trained.checkpoint),
                "network": type(member.trained.network).__name__,
                "image_size": member.trained.crops.size,
                "figures": _figures(verdicts),
            }
            for member, verdicts in zip(found.members, found.of_members, strict=True)
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
        content["published"] = {kind.value: _published(found, kind) for kind in found.crops}
    return content


def _published(found: Evaluation, kind: ValCrops) -> list[dict[str, Any]]:
    return [
        asdict(row) | {"crops": row.crops and row.crops.value, "comparable": comparable}
        for row, comparable in found.published(kind)
    ]


def _figures(verdicts: dict[ValCrops, Verdict]) -> dict[str, Any]:
    return {
        kind.value: {key: value for key, value in verdict.figures._asdict().items() if value is not None}
        for kind, verdict in verdicts.items()
    }


def _class_errors(verdict: Verdict, number: int) -> dict[str, Any]:
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
        kind: (verdict.top.tolist(), verdict.chances.tolist()) for kind, verdict in found.subject.items()
    }
    for place, row in enumerate(found.rows.tolist()):
        for kind, (top, chances) in lists.items():
            pairs = zip(top[place], chances[place], strict=True)
            cells = (cell for number, chance in pairs for cell in (classes[number], f"{chance:.6g}"))
            yield [images.path(row), classes[images.labels[row]], kind.value, *cells]


def _csv(rows: Iterable[list[Any]]) -> str:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue()


def _write(path: Path, text: str) -> None:
    with written_whole(path) as file:
        file.write(text.encode(errors="surrogateescape"))
