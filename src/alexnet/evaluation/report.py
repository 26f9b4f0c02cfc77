"""The files of an evaluation, and their copies in W&B."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from alexnet.config import ValCrops
from alexnet.evaluation.figures import draw_confusion, draw_per_class, draw_worst
from alexnet.evaluation.predictions import ConfusionCounts, Predictions
from alexnet.evaluation.results import Evaluation, PredictionsByCrops
from alexnet.files import csv_text, write_json, write_text
from alexnet.runs.tracking import track_later_results

FIGURES = {"confusion": draw_confusion, "per_class": draw_per_class, "worst": draw_worst}


def write_report(evaluation: Evaluation, folder: Path, batch_size: int) -> None:
    """Write all files into an existing folder, over those of an earlier evaluation.

    Raises `OSError` where that fails.
    """
    write_json(folder / "evaluation.json", _json_content(evaluation, batch_size))
    write_text(folder / "per_class.csv", _per_class_csv(evaluation))
    write_text(folder / "confusion.csv", _confusion_csv(evaluation))
    write_text(folder / "predictions.csv", _predictions_csv(evaluation))
    for name, draw in FIGURES.items():
        path = folder / f"{name}.png"
        path.unlink(missing_ok=True)  # without a mistake there is no sheet of them
        draw(evaluation, path)


def track(evaluation: Evaluation, run: Path, folder: Path) -> None:
    """Add metrics and the figures in `folder` to the W&B run of the run that was evaluated, if it has one."""
    summary = {
        f"eval/{kind}/{name}": value
        for kind, metrics in _metrics(evaluation.primary).items()
        for name, value in metrics.items()
    }
    paths = {name: folder / f"{name}.png" for name in FIGURES}
    figures = {f"eval/{name}": path for name, path in paths.items() if path.is_file()}
    track_later_results(run, summary, figures)


def _json_content(evaluation: Evaluation, batch_size: int) -> dict[str, Any]:
    data = evaluation.data
    content: dict[str, Any] = {
        "settings": {
            "crops": [kind.value for kind in evaluation.crops],
            "batch_size": batch_size,
            "data": evaluation.data_name,
            "origin": data.origin,
            "fingerprint": data.fingerprint,
        },
        "name": evaluation.name,
        "figures": _metrics(evaluation.primary),
        "members": [
            {
                "name": member.name,
                "run": str(member.run) if member.run else None,
                "checkpoint": str(member.trained.checkpoint),
                "network": type(member.trained.network).__name__,
                "image_size": member.trained.crops.size,
                "precision": member.precision,
                "figures": _metrics(by_crops),
            }
            for member, by_crops in zip(evaluation.members, evaluation.member_predictions, strict=True)
        ],
        "notes": evaluation.notes(),
        "unreadable": [{"file": path, "reason": why} for path, why in sorted(evaluation.unreadable.items())],
        "classes": [
            {
                "class": data.classes[label],
                "name": evaluation.class_names[label],
                "images": images,
                **{
                    kind.value: _class_errors(predictions, label)
                    for kind, predictions in evaluation.primary.items()
                },
            }
            for label, images in enumerate(evaluation.predictions.class_images.tolist())
        ],
        "confusion": {
            kind.value: _confusion_table(predictions.confusion, data.classes)
            for kind, predictions in evaluation.primary.items()
        },
    }
    if evaluation.is_imagenet:
        content["published"] = {kind.value: _published_rows(evaluation, kind) for kind in evaluation.crops}
    return content


def _metrics(by_crops: PredictionsByCrops) -> dict[str, dict[str, float]]:
    """Return the metrics of each kind of crops, without those that are None."""
    return {
        kind.value: {key: value for key, value in predictions.metrics._asdict().items() if value is not None}
        for kind, predictions in by_crops.items()
    }


def _class_errors(predictions: Predictions, label: int) -> dict[str, float]:
    """Return the errors of one class in percent; none where it has no images."""
    images = int(predictions.class_images[label])
    if not images:
        return {}
    errors = {"top1_error": 100 * int(predictions.class_wrong[label]) / images}
    if predictions.has_top5:
        errors["top5_error"] = 100 * int(predictions.class_wrong_top5[label]) / images
    return errors


def _confusion_table(counts: ConfusionCounts, classes: Sequence[str]) -> dict[str, dict[str, int]]:
    """Return {class: {predicted class: images}} without zeros."""
    table: dict[str, dict[str, int]] = {name: {} for name in classes}
    for label, predicted, images in zip(*(part.tolist() for part in counts), strict=True):
        table[classes[label]][classes[predicted]] = images
    return table


def _published_rows(evaluation: Evaluation, kind: ValCrops) -> list[dict[str, Any]]:
    return [
        asdict(row) | {"crops": row.crops and row.crops.value, "comparable": comparable}
        for row, comparable in evaluation.published(kind)
    ]


def _per_class_csv(evaluation: Evaluation) -> str:
    """Return a row for each class: its images, and its errors in percent by each kind of crops."""
    keys = ["top1_error", "top5_error"] if evaluation.predictions.has_top5 else ["top1_error"]
    columns = [f"{kind.value}_{key}" for kind in evaluation.crops for key in keys]

    def rows() -> Iterator[list[Any]]:
        for label, images in enumerate(evaluation.predictions.class_images.tolist()):
            by_crops = [_class_errors(predictions, label) for predictions in evaluation.primary.values()]
            errors = [errors.get(key, "") for errors in by_crops for key in keys]
            yield [evaluation.data.classes[label], evaluation.class_names[label], images, *errors]

    return csv_text(["class", "name", "images", *columns], rows())


def _confusion_csv(evaluation: Evaluation) -> str:
    """Return a row for each pair of a class and a predicted class that occurs, by the main crops."""
    classes = evaluation.data.classes
    pairs = zip(*(part.tolist() for part in evaluation.predictions.confusion), strict=True)
    rows = ([classes[label], classes[predicted], images] for label, predicted, images in pairs)
    return csv_text(["class", "predicted", "images"], rows)


def _predictions_csv(evaluation: Evaluation) -> str:
    """Return a row for each image and kind of crops: its most probable classes in descending order."""
    classes, images = evaluation.data.classes, evaluation.data.images
    ranks = range(1, evaluation.predictions.top.shape[1] + 1)
    columns = [f"{what}_{rank}" for rank in ranks for what in ("class", "probability")]
    lists = {
        kind.value: (predictions.top.tolist(), predictions.top_probabilities.tolist())
        for kind, predictions in evaluation.primary.items()
    }

    def rows() -> Iterator[list[Any]]:
        for row, index in enumerate(evaluation.indices.tolist()):
            for kind, (top, probabilities) in lists.items():
                pairs = zip(top[row], probabilities[row], strict=True)
                cells = [cell for label, probability in pairs for cell in (classes[label], probability)]
                yield [images.path(index), classes[images.labels[index]], kind, *cells]

    return csv_text(["file", "class", "crops", *columns], rows())
