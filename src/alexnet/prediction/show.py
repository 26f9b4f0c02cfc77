"""Predictions on the terminal, and as JSON."""

import json
from collections.abc import Sequence
from pathlib import Path

from rich.bar import Bar
from rich.table import Table

from alexnet.errors import UserError
from alexnet.prediction.prediction import Prediction
from alexnet.progress import console
from alexnet.run.trained import Trained
from alexnet.run.whole_file import written_whole

BAR = 24  # characters


def print_predictions(found: Sequence[Prediction], trained: Trained) -> None:
    """For each image its classes, with a bar as long as each is probable."""
    for prediction in found:
        console.print(f"\n{prediction.path}", style="bold", markup=False)
        table = Table.grid(padding=(0, 1))
        for number, probability in zip(prediction.classes, prediction.probabilities, strict=True):
            name = trained.class_names[number]
            table.add_row(f"  {probability:6.1%}", Bar(1, 0, probability, width=BAR), name)
        console.print(table)


def write_predictions(
    found: Sequence[Prediction], unreadable: dict[Path, str], trained: Trained, path: Path
) -> None:
    """Everything as JSON at `path`. Raises `UserError` where it cannot be written."""
    content = {
        "checkpoint": str(trained.checkpoint),
        "images": [
            {
                "file": str(prediction.path),
                "predictions": [
                    {
                        "class": trained.classes[number],
                        "name": trained.class_names[number],
                        "probability": probability,
                    }
                    for number, probability in zip(prediction.classes, prediction.probabilities, strict=True)
                ],
            }
            for prediction in found
        ],
        "unreadable": [{"file": str(file), "reason": reason} for file, reason in unreadable.items()],
    }
    try:
        with written_whole(path) as file:
            file.write((json.dumps(content, indent=2) + "\n").encode(errors="surrogateescape"))
    except OSError as error:
        raise UserError(f"Cannot write {path}: {error.strerror or error}.") from error
    console.print(f"\nJSON      {path}", markup=False)
