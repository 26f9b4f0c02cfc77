"""A look inside a trained network from beginning to end: what is measured, drawn, written and shown."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from alexnet.config import InspectConfig
from alexnet.data.dataset import Images
from alexnet.errors import UserError
from alexnet.inspection.features import feature_vectors
from alexnet.inspection.figures import Picture, draw_neighbours, draw_units
from alexnet.inspection.layers import LayerMeasures, learned_layers, measure_layers
from alexnet.inspection.neighbours import choose_queries, evenly, nearest
from alexnet.inspection.reading import read_batches
from alexnet.inspection.show import print_layers
from alexnet.inspection.subject import Subject, load_subject
from alexnet.paths import absolute
from alexnet.progress import console
from alexnet.run.figures import draw_filters
from alexnet.run.later_results import track_results
from alexnet.run.log import log_to_terminal
from alexnet.run.plain_files import write_json, write_rows
from alexnet.training.devices import resolve_device


def inspect_run(config: InspectConfig) -> None:
    """Measure, draw, write and print; each part is written as soon as it is known.

    Raises `UserError` for a run, a checkpoint or images that are not there, and where nothing can be written.
    """
    log_to_terminal(quiet=False)
    device = resolve_device(config.accelerator)
    subject = load_subject(config.run, config.checkpoint, config.data_root)
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
        track_results(subject.run, {"inspection": result}, pictures)


def _folder(config: InspectConfig, subject: Subject) -> Path:
    if config.out is not None:
        return absolute(config.out)
    return subject.run / "figures" / "inspection" if subject.run is not None else absolute("inspection")


def _inspect_layers(
    config: InspectConfig, subject: Subject, device: torch.device, out: Path
) -> list[LayerMeasures]:
    """layers.csv, units.png and filters.png; the table."""
    network, val = subject.trained.network, subject.data.val
    chosen = evenly(len(val), config.images)
    batches = subject.crops(val, chosen, config.batch_size, device, "Units, over validation images")
    layers = measure_layers(network, ((crops, labels) for _, crops, labels in batches), gradients=False)
    if not layers:
        raise UserError(f"None of the {len(chosen)} validation images of {subject.data.origin} can be read.")
    write_rows(out / "layers.csv", [asdict(layer) for layer in layers])
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
    config: InspectConfig, subject: Subject, device: torch.device, out: Path
) -> dict[str, Any]:
    """neighbours.csv and neighbours.png; how many of the neighbours are of the right class."""
    network, data, size = subject.trained.network, subject.data, config.batch_size
    asked = choose_queries(data.val.labels, config.queries)
    found = [
        (which, feature_vectors(network, crops))
        for which, crops, _ in subject.crops(data.val, asked, size, device, "Features of validation images")
    ]
    queries = np.concatenate([which for which, _ in found])
    chosen = evenly(len(data.train), config.images)
    batches = subject.crops(data.train, chosen, size, device, "Features of training images")
    features = ((which, feature_vectors(network, crops)) for which, crops, _ in batches)
    numbers, distances = nearest(torch.cat([each for _, each in found]), features, config.neighbours)
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
    write_rows(out / "neighbours.csv", rows)
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


def _pictures(images: Images, indices: Sequence[int], subject: Subject) -> dict[int, Picture]:
    size = subject.trained.stored_size
    read = read_batches(images, np.array(indices, np.int64), size, 16)
    return {
        int(index): Picture(square.numpy(), int(label))
        for which, squares, labels in read
        for index, square, label in zip(which, squares, labels, strict=True)
    }
