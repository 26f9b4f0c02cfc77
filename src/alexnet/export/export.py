"""Export of a trained network: a file or folder for each format, verified before it is kept."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from alexnet.config import ExportConfig, ExportFormat
from alexnet.errors import UserError
from alexnet.export.formats import FORMATS, check_packages
from alexnet.export.hub import WEIGHTS, write_hub_config
from alexnet.export.model_card import write_model_card
from alexnet.export.pixel_model import describe
from alexnet.export.verify import BATCH_SIZES, SAMPLE_SIZE, LogitsCheck, draw_sample
from alexnet.files import atomic_write_files, make_output_folder, write_json
from alexnet.paths import absolute
from alexnet.runs.trained_model import TrainedModel, load_trained_model
from alexnet.terminal import console


def export(config: ExportConfig) -> None:
    """Write a file in each format asked for, with its description beside it, and print how to use it.

    Raises `UserError` for a run that does not exist, a missing package, and an exported network whose logits
    differ from the original's: that file is not written; those written before it are kept.
    """
    check_packages(config.formats)
    trained = load_trained_model(config.run, config.checkpoint)
    folder = _output_folder(config, trained)
    make_output_folder(folder, "Cannot make the folder")
    with console.status("Looking for images to compare with"):
        check = LogitsCheck(trained, draw_sample(trained, SAMPLE_SIZE))
    for kind in config.formats:
        path = folder / f"{trained.checkpoint.stem}{FORMATS[kind].suffix}"
        with console.status(f"Exporting {path.name}"):
            difference = _write(trained, kind, check, config, path)
        _print_file(kind, path, difference, check.origin)
    shape = f"(N, 3, {trained.crops.size}, {trained.crops.size})"
    console.print(
        f"{'crops':<13} float32 {shape}, RGB 0-255, the centre of an image whose shorter side is"
        f" {trained.resize_size}; logits (N, {len(trained.classes)}). The .json beside each file says more",
        markup=False,
    )


def _output_folder(config: ExportConfig, trained: TrainedModel) -> Path:
    """Return `out`, or the run's own folder, or that of the checkpoint."""
    if config.out is not None:
        return absolute(config.out)
    if config.run is not None:
        return absolute(config.run) / "exports"
    return trained.checkpoint.parent


def _write(
    trained: TrainedModel, kind: ExportFormat, check: LogitsCheck, config: ExportConfig, path: Path
) -> float:
    """Write one export and its description if its logits are right; return how much they differ.

    Raises `UserError` where they differ by more than the tolerance, and where the file cannot be written.
    """
    chosen, tolerance = FORMATS[kind], config.tolerance
    description = describe(trained, mean_inside=chosen.mean_inside)
    folder = path if chosen.is_folder else path.parent
    try:
        with _made(folder), atomic_write_files(folder) as aside:
            written = aside if chosen.is_folder else aside / path.name
            chosen.write(trained, description, written, config.opset)
            difference = check.difference(chosen.load(trained, written))
            if not difference <= tolerance:  # true for NaN as well
                raise UserError(
                    f"{path} is not written: as {kind.value} the logits differ by {difference:.1e} of their"
                    f" spread from the network's on {check.origin}, more than tolerance={tolerance:g}."
                )
            header: dict[str, Any] = {
                "file": WEIGHTS if chosen.is_folder else path.name,
                "format": kind.value,
                "use": chosen.use.replace("<file>", path.name),
                "checked": {
                    "images": check.origin,
                    "batches": list(BATCH_SIZES),
                    "largest_difference": difference,
                    "unit": "standard deviation of all logits",
                    "tolerance": tolerance,
                },
            }
            if chosen.is_folder:
                write_hub_config(written, header | description)
                write_model_card(written, trained, header | description, config.license)
            else:
                write_json(aside / f"{path.name}.json", header | description)
    except OSError as error:
        raise UserError(f"Cannot write {path}: {error.strerror or error}.") from error
    return difference


@contextmanager
def _made(folder: Path) -> Iterator[None]:
    """Make a folder if it is missing; on failure remove it, unless there is something in it."""
    folder.mkdir(exist_ok=True)
    try:
        yield
    except BaseException:
        with suppress(OSError):
            folder.rmdir()
        raise


def _print_file(kind: ExportFormat, path: Path, difference: float, origin: str) -> None:
    weights = path.with_name(f"{path.name}.data")  # where ONNX keeps the weights of a large network
    files = path.iterdir() if path.is_dir() else (path, weights)
    size = sum(file.stat().st_size for file in files if file.is_file())
    console.print(
        f"{kind.value:<13} {path}, {size / 1e6:,.1f} MB: differs by at most {difference:.1e} of the logits'"
        f" spread on {origin}",
        markup=False,
    )
    console.print(f"{'':<13} {FORMATS[kind].use.replace('<file>', str(path))}", markup=False)
