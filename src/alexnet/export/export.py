"""Export of a trained network: a file in each format, verified before it is kept."""

import json
from pathlib import Path
from typing import Any

from alexnet.config import ExportConfig, ExportFormat
from alexnet.errors import UserError
from alexnet.export.formats import FORMATS, check_packages
from alexnet.export.pixel_model import ExportSource, describe
from alexnet.export.verify import BATCHES, IMAGES, LogitsCheck, draw_sample
from alexnet.files import atomic_write_files
from alexnet.paths import absolute
from alexnet.runs.trained_model import TrainedModel, load_trained_model
from alexnet.terminal import console


def export(config: ExportConfig) -> None:
    """Write what was asked for, each file with its description beside it, and tell how to use it.

    Raises `UserError` for a run that is not there, a package that is missing, and for an export that does
    not give what the network gives: nothing of that one is left. Those before it are.
    """
    check_packages(config.formats)
    trained = load_trained_model(config.run, config.checkpoint)
    folder = _folder(config, trained)
    with console.status("Looking for images to compare with"):
        check = LogitsCheck(trained, draw_sample(trained, IMAGES))
    source = ExportSource(trained, config.opset)
    for kind in config.formats:
        path = folder / f"{trained.checkpoint.stem}{FORMATS[kind].suffix}"
        with console.status(f"Exporting {path.name}"):
            difference = _write(source, kind, check, config.tolerance, path)
        _print_file(kind, path, difference, check.origin)
    shape = f"(N, 3, {trained.crops.size}, {trained.crops.size})"
    console.print(
        f"{'crops':<13} float32 {shape}, RGB 0-255, the centre of an image whose shorter side is"
        f" {trained.resize_size}; logits (N, {len(trained.classes)}). The .json beside each file says more",
        markup=False,
    )


def _folder(config: ExportConfig, trained: TrainedModel) -> Path:
    """Where the files go, made where need be."""
    if config.out is not None:
        folder = absolute(config.out)
    elif config.run is not None:
        folder = absolute(config.run) / "exports"
    else:
        folder = trained.checkpoint.parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"Cannot make the folder {folder}: {error.strerror}. Give another: out=..."
        ) from error
    return folder


def _write(
    source: ExportSource, kind: ExportFormat, check: LogitsCheck, tolerance: float, path: Path
) -> float:
    """Write one file and its description, if the network in it is right; how much it differs."""
    chosen = FORMATS[kind]
    description = describe(source.trained, mean_inside=chosen.mean_inside)
    try:
        with atomic_write_files(path.parent) as aside:
            chosen.write(source, description, aside / path.name)
            difference = check.difference(chosen.load(source, aside / path.name))
            if not difference <= tolerance:  # nor where it is not a number
                raise UserError(
                    f"{path} is not written: as {kind.value} the logits differ by {difference:.1e} of their"
                    f" spread from the network's on {check.origin}, more than tolerance={tolerance:g}."
                )
            about: dict[str, Any] = {
                "file": path.name,
                "format": kind.value,
                "use": chosen.use.replace("<file>", path.name),
                "checked": {
                    "images": check.origin,
                    "batches": list(BATCHES),
                    "largest_difference": difference,
                    "unit": "standard deviation of all logits",
                    "tolerance": tolerance,
                },
            }
            text = json.dumps(about | description, indent=2) + "\n"
            (aside / f"{path.name}.json").write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(f"Cannot write {path}: {error.strerror or error}.") from error
    return difference


def _print_file(kind: ExportFormat, path: Path, difference: float, origin: str) -> None:
    beside = path.with_name(f"{path.name}.data")  # where ONNX keeps the weights of a large network
    size = sum(file.stat().st_size for file in (path, beside) if file.is_file())
    console.print(
        f"{kind.value:<13} {path}, {size / 1e6:,.1f} MB: differs by at most {difference:.1e} of the logits'"
        f" spread on {origin}",
        markup=False,
    )
    console.print(f"{'':<13} {FORMATS[kind].use.replace('<file>', str(path))}", markup=False)
