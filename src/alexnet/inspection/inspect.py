"""Inspection of a trained network, from configuration to report."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.table import Table
from torch import Tensor, nn

from alexnet.config import InspectConfig
from alexnet.data.dataset import ImageDataset
from alexnet.data.loader import read_batches
from alexnet.data.loading import ImageData, load_image_data
from alexnet.data.sampling import evenly_spaced
from alexnet.errors import UserError
from alexnet.files import write_csv, write_json
from alexnet.hardware import resolve_device
from alexnet.inspection.figures import LabelledImage, draw_neighbours, draw_units
from alexnet.inspection.neighbours import choose_queries, feature_vectors, nearest_neighbours
from alexnet.models.layer_stats import LayerStats, learned_layers, measure_layers
from alexnet.paths import absolute
from alexnet.runs.figures import draw_filters
from alexnet.runs.log import log_to_terminal
from alexnet.runs.resume import read_run_config
from alexnet.runs.tracking import track_later_results
from alexnet.runs.trained_model import TrainedModel, load_trained_model, training_data_config
from alexnet.terminal import console, progress_bar


@dataclass(frozen=True)
class InspectedModel:
    """`config` is the run's whole configuration as plain data; `run` its folder, None for a checkpoint."""

    trained: TrainedModel
    data: ImageData
    config: dict[str, Any]
    run: Path | None

    def crops(
        self,
        images: ImageDataset,
        indices: NDArray[np.int64],
        batch_size: int,
        device: torch.device,
        task: str,
    ) -> Iterator[tuple[NDArray[np.int64], Tensor, Tensor]]:
        """Indices (N,), what validation sees of these images on the device, and labels there, in batches.

        Those that cannot be read are left out; a progress bar says what the `task` is.
        """
        with progress_bar(task, len(indices)) as advance:
            for which, squares, labels in read_batches(images, indices, self.trained.resize_size, batch_size):
                if len(which):
                    yield which, self.trained.crops.center(squares.to(device)), labels.to(device)
                advance(len(which))


def load_inspected_model(run: str | None, checkpoint: str | None, data_root: str | None) -> InspectedModel:
    """The network of a run's folder or of a checkpoint, with the run's images.

    These are looked for where they were, or in `data_root`. Raises `UserError` for what is not there, and
    for images of other classes than the network knows.
    """
    trained = load_trained_model(run, checkpoint)
    folder = None if run is None else absolute(run)
    if folder is None:
        config, source = trained.config, trained.checkpoint
    else:
        config, source = read_run_config(folder), folder / "config.yaml"
    images = training_data_config(config, source, data_root)
    try:
        data = load_image_data(images)
    except UserError as error:
        advice = "" if data_root is not None else " Where the run's images are now: data_root=<folder>."
        raise UserError(f"{error}{advice}") from error
    if data.classes != trained.classes:
        raise UserError(
            f"The images are not the run's: {data.origin} has {len(data.classes)} classes,"
            f" {data.classes[0]} to {data.classes[-1]}, and the network knows {len(trained.classes)},"
            f" {trained.classes[0]} to {trained.classes[-1]}. Give them: data_root=<folder>."
        )
    return InspectedModel(trained, data, config, folder)


def inspect_run(config: InspectConfig) -> None:
    """Measure, draw, write and print; each part is written as soon as it is known.

    Raises `UserError` for a run, a checkpoint or images that are not there, and where nothing can be written.
    """
    log_to_terminal(quiet=False)
    device = resolve_device(config.accelerator)
    subject = load_inspected_model(config.run, config.checkpoint, config.data_root)
    out = _folder(config, subject)
    subject.trained.network.to(device)
    console.print(f"Network   {subject.trained.checkpoint}", markup=False)
    console.print(f"Images    {subject.data.origin}", markup=False)
    try:
        out.mkdir(parents=True, exist_ok=True)
        layers = _inspect_layers(config, subject, device, out)
        neighbours = _inspect_neighbours(config, subject, device, out)
        result: dict[str, Any] = {
            "checkpoint": str(subject.trained.checkpoint),
            "data_fingerprint": subject.data.fingerprint,
            "layers": [asdict(layer) for layer in layers],
            "neighbours": neighbours,
            "unreadable": subject.data.newly_unreadable(),
        }
        write_json(out / "inspection.json", result)
    except OSError as error:
        raise UserError(f"Cannot write {error.filename or out}: {error.strerror or error}.") from error
    console.print(
        f"Results   {out / 'inspection.json'}, layers.csv and neighbours.csv beside it", markup=False
    )
    if config.wandb and subject.run is not None:
        pictures = {f"inspection/{path.stem}": path for path in sorted(out.glob("*.png"))}
        track_later_results(subject.run, {"inspection": result}, pictures)


def _folder(config: InspectConfig, subject: InspectedModel) -> Path:
    if config.out is not None:
        return absolute(config.out)
    return subject.run / "figures" / "inspection" if subject.run is not None else absolute("inspection")


def _inspect_layers(
    config: InspectConfig, subject: InspectedModel, device: torch.device, out: Path
) -> list[LayerStats]:
    """layers.csv, units.png and filters.png; the table."""
    network, val = subject.trained.network, subject.data.val
    chosen = evenly_spaced(len(val), config.images)
    batches = subject.crops(val, chosen, config.batch_size, device, "Units, over validation images")
    layers = measure_layers(network, ((crops, labels) for _, crops, labels in batches), gradients=False)
    if not layers:
        raise UserError(f"None of the {len(chosen)} validation images of {subject.data.origin} can be read.")
    write_csv(out / "layers.csv", [asdict(layer) for layer in layers])
    draw_units(layers, len(chosen), out / "units.png")
    print_layers(layers)
    first = learned_layers(network)[layers[0].layer]
    if isinstance(first, nn.Conv2d) and first.in_channels == 3:
        columns = getattr(network.config, "columns", 1)
        draw_filters(first.weight.detach().float().cpu().numpy(), columns, out / "filters.png")
        console.print(f"Filters   {out / 'filters.png'}", markup=False)
    console.print(f"Units     {out / 'units.png'}", markup=False)
    return layers


def _inspect_neighbours(
    config: InspectConfig, subject: InspectedModel, device: torch.device, out: Path
) -> dict[str, Any]:
    """neighbours.csv and neighbours.png; how many of the neighbours are of the right class."""
    network, data, size = subject.trained.network, subject.data, config.batch_size
    asked = choose_queries(data.val.labels, config.queries)
    found = [
        (which, feature_vectors(network, crops))
        for which, crops, _ in subject.crops(data.val, asked, size, device, "Features of validation images")
    ]
    queries = np.concatenate([which for which, _ in found])
    chosen = evenly_spaced(len(data.train), config.images)
    batches = subject.crops(data.train, chosen, size, device, "Features of training images")
    features = ((which, feature_vectors(network, crops)) for which, crops, _ in batches)
    numbers, distances = nearest_neighbours(
        torch.cat([each for _, each in found]), features, config.neighbours
    )
    rows = [
        {
            "query": data.val.path(query),
            "query_class": data.classes[data.val.labels[query]],
            "rank": rank + 1,
            "neighbour": data.train.path(number),
            "neighbour_class": data.classes[data.train.labels[number]],
            "distance": float(distance),
        }
        for query, near, far in zip(queries.tolist(), numbers.tolist(), distances, strict=True)
        for rank, (number, distance) in enumerate(zip(near, far, strict=True))
    ]
    write_csv(out / "neighbours.csv", rows)
    same = sum(row["query_class"] == row["neighbour_class"] for row in rows)
    title = (
        "Validation images, and the training images whose features are nearest to theirs\n"
        f"framed: of the same class, {same} of {len(rows)}; looked for among {len(chosen):,} training images"
    )
    shown = _pictures(data.val, queries.tolist(), subject)
    near = _pictures(data.train, np.unique(numbers).tolist(), subject)
    pairs = [
        (shown[query], [near[number] for number in row if number in near])
        for query, row in zip(queries.tolist(), numbers.tolist(), strict=True)
    ]
    draw_neighbours(pairs, subject.trained.class_names, title, out / "neighbours.png")
    console.print(
        f"Nearest   {out / 'neighbours.png'}: {same} of {len(rows)} of the same class", markup=False
    )
    return {
        "queries": len(queries),
        "training_images": len(chosen),
        "found": len(rows),
        "same_class_fraction": same / len(rows),
    }


def _pictures(
    images: ImageDataset, indices: Sequence[int], subject: InspectedModel
) -> dict[int, LabelledImage]:
    size = subject.trained.resize_size
    read = read_batches(images, np.array(indices, np.int64), size, 16)
    return {
        int(index): LabelledImage(square.numpy(), int(label))
        for which, squares, labels in read
        for index, square, label in zip(which, squares, labels, strict=True)
    }


def print_layers(layers: Sequence[LayerStats]) -> None:
    """A line for each layer, in the order in which they run."""
    table = Table(box=None, padding=(0, 2), pad_edge=False)
    table.add_column("layer")
    for heading in ("units", "activation RMS", "weight norm", "dead units", "saturated"):
        table.add_column(heading, justify="right")
    for layer in layers:
        table.add_row(
            layer.layer,
            f"{layer.units:,}",
            f"{layer.activation_rms:.4g}",
            f"{layer.weight_norm:.4g}",
            _percent(layer.dead_fraction),
            _percent(layer.saturated_fraction),
        )
    console.print(table)


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"
