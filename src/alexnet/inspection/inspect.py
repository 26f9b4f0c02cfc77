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
from alexnet.files import make_output_folder, write_csv, write_json
from alexnet.hardware import ieee_float32, resolve_device
from alexnet.inspection.figures import LabelledImage, draw_neighbours, draw_units
from alexnet.inspection.neighbours import choose_queries, feature_vectors, nearest_neighbours
from alexnet.inspection.page import Neighbour, Query, write_page
from alexnet.models.layer_stats import LayerStats, learned_layers, measure_layers
from alexnet.paths import PROJECT, absolute
from alexnet.runs.figures import draw_filters
from alexnet.runs.log import log_to_terminal
from alexnet.runs.resume import read_run_config
from alexnet.runs.tracking import track_later_results
from alexnet.runs.trained_model import TrainedModel, load_trained_model, training_data_config
from alexnet.terminal import console, progress_bar


@dataclass(frozen=True)
class InspectedModel:
    """A trained network with the images of its run, and the run's folder, None for a checkpoint."""

    trained: TrainedModel
    data: ImageData
    run: Path | None

    def crops(
        self,
        images: ImageDataset,
        indices: NDArray[np.int64],
        batch_size: int,
        device: torch.device,
        task: str,
    ) -> Iterator[tuple[NDArray[np.int64], Tensor, Tensor]]:
        """Yield batches of indices (N,), centre crops (N, 3, size, size) and labels (N,).

        Crops and labels are on the device. Unreadable images are left out. A progress bar is named `task`.
        """
        size = self.trained.resize_size
        with progress_bar(task, len(indices)) as advance:
            for readable, batch, labels in read_batches(images, indices, size, batch_size):
                if len(readable):
                    yield readable, self.trained.crops.center(batch.to(device)), labels.to(device)
                advance(len(readable))


@ieee_float32()
def inspect_run(config: InspectConfig) -> None:
    """Measure, draw, write and print the statistics of a trained network, each part as soon as it is known.

    Raises `UserError` for a run, a checkpoint or images that do not exist, and where nothing can be written.
    """
    log_to_terminal(quiet=False)
    device = resolve_device(config.accelerator)
    model = load_inspected_model(config.run, config.checkpoint, config.data_root)
    folder = _output_folder(config, model)
    model.trained.network.to(device)
    console.print(f"Network   {model.trained.checkpoint}", markup=False)
    console.print(f"Images    {model.data.origin}", markup=False)
    make_output_folder(folder)
    try:
        layers = _inspect_layers(config, model, device, folder)
        neighbours, queries = _inspect_neighbours(config, model, device, folder)
        result: dict[str, Any] = {
            "checkpoint": str(model.trained.checkpoint),
            "data_fingerprint": model.data.fingerprint,
            "layers": [asdict(layer) for layer in layers],
            "neighbours": neighbours,
            "unreadable": model.data.newly_unreadable(),
        }
        write_json(folder / "inspection.json", result)
        write_page(model.trained, queries, device, config.batch_size, folder / "inspection.html")
    except OSError as error:
        raise UserError(f"Cannot write {error.filename or folder}: {error.strerror or error}.") from error
    console.print(
        f"Results   {folder / 'inspection.json'}, layers.csv and neighbours.csv beside it", markup=False
    )
    console.print(f"Page      {folder / 'inspection.html'}: open it in a browser", markup=False)
    if config.wandb and model.run is not None:
        figures = {f"inspection/{path.stem}": path for path in sorted(folder.glob("*.png"))}
        track_later_results(model.run, {"inspection": result}, figures)


def load_inspected_model(run: str | None, checkpoint: str | None, data_root: str | None) -> InspectedModel:
    """Load the network of a run's folder or of a checkpoint, with the run's images.

    The images are read from where they were during training, or from `data_root`. Raises `UserError` for a
    file or folder that does not exist, and for images of other classes than the network's.
    """
    trained = load_trained_model(run, checkpoint)
    folder = None if run is None else absolute(run)
    if folder is None:
        config, source = trained.config, trained.checkpoint
    else:
        config, source = read_run_config(folder), folder / "config.yaml"
    data_config = training_data_config(config, source, data_root)
    try:
        data = load_image_data(data_config)
    except UserError as error:
        advice = "" if data_root is not None else " Where the run's images are now: data_root=<folder>."
        raise UserError(f"{error}{advice}") from error
    if data.classes != trained.classes:
        raise UserError(
            f"The images are not the run's: {data.origin} has {len(data.classes)} classes,"
            f" {data.classes[0]} to {data.classes[-1]}, and the network knows {len(trained.classes)},"
            f" {trained.classes[0]} to {trained.classes[-1]}. Give them: data_root=<folder>."
        )
    return InspectedModel(trained, data, folder)


def _output_folder(config: InspectConfig, model: InspectedModel) -> Path:
    if config.out is not None:
        return absolute(config.out)
    return model.run / "figures" / "inspection" if model.run is not None else PROJECT / "outputs/inspection"


def _inspect_layers(
    config: InspectConfig, model: InspectedModel, device: torch.device, folder: Path
) -> list[LayerStats]:
    """Measure the layers; write layers.csv, units.png and filters.png; print a table."""
    network, val = model.trained.network, model.data.val
    chosen = evenly_spaced(len(val), config.images)
    batches = model.crops(val, chosen, config.batch_size, device, "Units, over validation images")
    layers = measure_layers(network, ((crops, labels) for _, crops, labels in batches), gradients=False)
    if not layers:
        raise UserError(f"None of the {len(chosen)} validation images of {model.data.origin} can be read.")
    write_csv(folder / "layers.csv", [asdict(layer) for layer in layers])
    draw_units(layers, len(chosen), folder / "units.png")
    print_layers(layers)
    first = learned_layers(network)[layers[0].layer]
    if isinstance(first, nn.Conv2d) and first.in_channels == 3:
        columns = getattr(network.config, "columns", 1)
        draw_filters(first.weight.detach().float().cpu().numpy(), columns, folder / "filters.png")
        console.print(f"Filters   {folder / 'filters.png'}", markup=False)
    console.print(f"Units     {folder / 'units.png'}", markup=False)
    return layers


def print_layers(layers: Sequence[LayerStats]) -> None:
    """Print a line for each layer, in the order in which they run."""
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


def _percent(fraction: float | None) -> str:
    return "-" if fraction is None else f"{fraction:.1%}"


def _inspect_neighbours(
    config: InspectConfig, model: InspectedModel, device: torch.device, folder: Path
) -> tuple[dict[str, Any], list[Query]]:
    """Find nearest neighbours; write neighbours.csv and neighbours.png; return a summary and the queries."""
    network, data, batch_size = model.trained.network, model.data, config.batch_size
    chosen = choose_queries(data.val.labels, config.queries)
    batches = model.crops(data.val, chosen, batch_size, device, "Features of validation images")
    of_queries = [(indices, feature_vectors(network, crops)) for indices, crops, _ in batches]
    if not of_queries:
        raise UserError(f"None of the {len(chosen)} queries of {data.origin} can be read.")
    queries = np.concatenate([indices for indices, _ in of_queries])
    query_features = torch.cat([features for _, features in of_queries])
    searched = evenly_spaced(len(data.train), config.images)
    batches = model.crops(data.train, searched, batch_size, device, "Features of training images")
    features = ((indices, feature_vectors(network, crops)) for indices, crops, _ in batches)
    neighbours, distances = nearest_neighbours(query_features, features, config.neighbours)
    if not neighbours.size:
        raise UserError(f"None of the {len(searched)} training images of {data.origin} can be read.")
    rows = [
        {
            "query": data.val.path(query),
            "query_class": data.classes[data.val.labels[query]],
            "rank": rank,
            "neighbour": data.train.path(neighbour),
            "neighbour_class": data.classes[data.train.labels[neighbour]],
            "distance": float(distance),
        }
        for query, nearest, far in zip(queries.tolist(), neighbours.tolist(), distances, strict=True)
        for rank, (neighbour, distance) in enumerate(zip(nearest, far, strict=True), start=1)
    ]
    write_csv(folder / "neighbours.csv", rows)
    same = sum(row["query_class"] == row["neighbour_class"] for row in rows)
    title = (
        "Validation images, and the training images with the nearest features\n"
        f"framed: of the same class, {same} of {len(rows)}; searched: {len(searched):,} training images"
    )
    query_images = _read_images(data.val, queries, model)
    neighbour_images = _read_images(data.train, np.unique(neighbours), model)
    found = [
        Query(
            query_images[query],
            data.val.path(query),
            [
                Neighbour(neighbour_images[index], float(distance))
                for index, distance in zip(nearest, far, strict=True)
                if index in neighbour_images
            ],
        )
        for query, nearest, far in zip(queries.tolist(), neighbours.tolist(), distances, strict=True)
    ]
    pairs = [(query.shown, [neighbour.shown for neighbour in query.neighbours]) for query in found]
    draw_neighbours(pairs, model.trained.class_names, title, folder / "neighbours.png")
    console.print(
        f"Nearest   {folder / 'neighbours.png'}: {same} of {len(rows)} of the same class", markup=False
    )
    summary = {
        "queries": len(queries),
        "training_images": len(searched),
        "found": len(rows),
        "same_class_fraction": same / len(rows),
    }
    return summary, found


def _read_images(
    images: ImageDataset, indices: NDArray[np.int64], model: InspectedModel
) -> dict[int, LabelledImage]:
    """Return the images at `indices` by index, without unreadable ones."""
    return {
        int(index): LabelledImage(image.numpy(), int(label))
        for readable, batch, labels in read_batches(images, indices, model.trained.resize_size, 16)
        for index, image, label in zip(readable, batch, labels, strict=True)
    }
