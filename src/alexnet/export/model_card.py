"""The model card of a network: README.md of a folder for the Hugging Face hub."""

import math
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from alexnet.config import ValCrops
from alexnet.errors import UserError
from alexnet.export.hub import CARD, WEIGHTS, public_overrides, without_reason
from alexnet.files import read_csv_columns, read_json, write_text
from alexnet.models.flops import forward_flops
from alexnet.paths import command_for
from alexnet.runs.folder import RunFolder
from alexnet.runs.results import count_parameters
from alexnet.runs.resume import read_run_config
from alexnet.runs.trained_model import TrainedModel
from alexnet.templates import template_environment
from alexnet.version import read_version

# what data sets are called on the hub
HUB_DATASETS = {
    "cifar10": "uoft-cs/cifar10",
    "imagenet": "ILSVRC/imagenet-1k",
    "imagenette": "frgfm/imagenette",
}


class ErrorRow(NamedTuple):
    """Errors on `images` images, in percent, each with its binomial standard error; `top5` may be None."""

    images: int
    crops: str
    top1: tuple[float, float]
    top5: tuple[float, float] | None


@dataclass(frozen=True)
class Measured:
    """The errors of a network on validation images, as in training, or else as evaluate.py found them.

    `epoch` is the one after which the weights were saved; `best`: it is that of the lowest error.
    """

    rows: list[ErrorRow]
    epoch: int
    best: bool


@dataclass(frozen=True)
class Training:
    """What a run's folder says about the training of a network."""

    command: str
    result: dict[str, Any]
    environment: dict[str, Any]
    measured: Measured | None


def run_of(trained: TrainedModel) -> Path | None:
    """Return the folder of the run whose checkpoint was loaded; None for a checkpoint by itself."""
    folder = trained.checkpoint.parent.parent
    try:
        read_run_config(folder)
    except UserError:
        return None
    return folder


def read_training(folder: Path, checkpoint: str) -> Training:
    """Read a run's folder; `checkpoint` is the file of its weights, best.ckpt or last.ckpt."""
    result = read_json(folder / "result.json")
    overrides = public_overrides(RunFolder(folder).read_overrides())
    command = shlex.join([*command_for("train").split(), *overrides])
    crops = read_run_config(folder)["data"].get("val_crops", ValCrops.center.value)
    measured = _measured(folder, checkpoint, crops, complete=result.get("status") == "completed")
    return Training(command, result, read_json(folder / "environment.json"), measured)


def write_model_card(folder: Path, trained: TrainedModel, content: dict[str, Any], licence: str) -> None:
    """Write README.md into the folder of a network; `content` is that of config.json."""
    run = run_of(trained)
    training = read_training(run, trained.checkpoint.name) if run is not None else None
    template = template_environment("alexnet.export").get_template("model_card.md.jinja")
    text = template.render(
        front_matter=front_matter(trained, training, licence),
        title=title(trained),
        features=", ".join(trained.network.config.features),
        data=trained.config["data"]["name"],
        config=trained.config,
        classes=[name.replace("|", "\\|") for name in trained.class_names],
        training=training,
        parameters=count_parameters(trained.network),
        flops=forward_flops(trained.network),
        megabytes=(folder / WEIGHTS).stat().st_size / 1e6,
        content=content,
        images=without_reason(content["checked"]["images"]),
        version=read_version(),
    )
    write_text(folder / CARD, text)


def title(trained: TrainedModel) -> str:
    """Return the card's title."""
    return f"{trained.network.config.name} trained on {trained.config['data']['name']}"


def front_matter(trained: TrainedModel, training: Training | None, licence: str) -> str:
    """Return the metadata of a model card, in YAML; the hub has accuracies, as fractions, not errors."""
    data = trained.config["data"]["name"]
    metadata: dict[str, Any] = {
        "license": licence,
        "library_name": "pytorch",
        "pipeline_tag": "image-classification",
        "tags": ["image-classification", "pytorch", "alexnet-lab", trained.network.config.name],
    }
    if dataset := HUB_DATASETS.get(data):
        metadata["datasets"] = [dataset]
    metadata["metrics"] = ["accuracy"]
    if training is not None and training.measured is not None:
        centre = training.measured.rows[0]
        errors = {"top-1 accuracy": centre.top1, "top-5 accuracy": centre.top5}
        metadata["model-index"] = [
            {
                "name": title(trained),
                "results": [
                    {
                        "task": {"type": "image-classification"},
                        "dataset": {"name": data, "type": dataset or data, "split": "validation"},
                        "metrics": [
                            {"type": "accuracy", "name": name, "value": round(1 - error[0] / 100, 6)}
                            for name, error in errors.items()
                            if error is not None
                        ],
                    }
                ],
            }
        ]
    return yaml.safe_dump(metadata, sort_keys=False, allow_unicode=True)


def _measured(folder: Path, checkpoint: str, crops: str, *, complete: bool) -> Measured | None:
    """Return the errors of a checkpoint's epoch; None where the run has not validated these weights.

    `crops` is the kind that the run validated on.
    """
    try:
        columns = read_csv_columns(folder / "metrics.csv")
        errors, images = columns["val/top1_error"], columns["val/samples"]
    except (OSError, ValueError, KeyError):
        return None
    validated = [row for row, error in enumerate(errors) if not math.isnan(error)]
    best = checkpoint == "best.ckpt"
    if not validated or not (best or complete):
        return None
    row = min(validated, key=lambda index: errors[index]) if best else validated[-1]
    top5 = columns.get("val/top5_error", [math.nan] * len(errors))[row]
    count = int(images[row])
    own = ErrorRow(
        count,
        crops,
        _with_standard_error(errors[row], count),
        None if math.isnan(top5) else _with_standard_error(top5, count),
    )
    rows = [own, *(row for row in _evaluated(folder, checkpoint) if row.crops != crops)]
    return Measured(rows, int(columns["epoch"][row]), best)


def _evaluated(folder: Path, checkpoint: str) -> list[ErrorRow]:
    """Return the errors that evaluate.py has found for these weights on the run's own images."""
    content = read_json(folder / "evaluation/evaluation.json")
    try:
        (member,) = content["members"]
        if Path(member["checkpoint"]).name != checkpoint:
            return []
        return [
            ErrorRow(
                found["samples"],
                crops,
                (found["top1_error"], found["top1_standard_error"]),
                (found["top5_error"], found["top5_standard_error"]) if "top5_error" in found else None,
            )
            for crops, found in content["figures"].items()
        ]
    except (KeyError, ValueError, TypeError):
        return []  # there is none, or its file is of another version


def _with_standard_error(percent: float, count: int) -> tuple[float, float]:
    """Return an error in percent and its binomial standard error."""
    return percent, math.sqrt(percent * (100 - percent) / count)
