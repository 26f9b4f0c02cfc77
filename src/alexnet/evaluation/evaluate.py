"""Evaluation of trained networks, from configuration to report."""

import os
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from alexnet.config import Accelerator, EvaluateConfig, ValCrops
from alexnet.data.dataset import UNREADABLE
from alexnet.data.loader import BatchLoader
from alexnet.data.loading import ValData
from alexnet.data.sampling import GlobalBatchSampler
from alexnet.data.scan import check_unreadable
from alexnet.errors import UserError, lacks_memory
from alexnet.evaluation.models import EvaluatedModel, load_data, load_models
from alexnet.evaluation.predictions import score
from alexnet.evaluation.report import print_evaluation, track, write_report
from alexnet.evaluation.results import Evaluation, PredictionsByCrops
from alexnet.hardware import resolve_device
from alexnet.paths import absolute
from alexnet.runs.trained_model import TrainedModel, probabilities_by_crops
from alexnet.terminal import console, progress_bar

Probabilities = dict[ValCrops, NDArray[np.float32]]  # of each class, (images, classes)


def predict_probabilities(
    networks: Sequence[TrainedModel],
    data: ValData,
    crops: Sequence[ValCrops],
    *,
    batch_size: int,
    workers: int,
    device: torch.device,
    advance: Callable[[int], None],
) -> tuple[list[Probabilities], NDArray[np.bool_]]:
    """Of each network the probabilities of every image's classes, in float32; and which images are readable.

    The networks have the same `resize_size`: an image is read once for all of them. `advance` is told of
    how many images each batch was. Rows of unreadable images are zeros. Raises `UserError` where there is
    too little memory, and where a network's output is no number.
    """
    shape = (len(data.images), len(data.classes))
    found: list[Probabilities] = [{kind: np.zeros(shape, np.float32) for kind in crops} for _ in networks]
    readable = np.zeros(shape[0], np.bool_)
    batches = BatchLoader(
        data.images,
        GlobalBatchSampler(shape[0], batch_size),
        size=networks[0].resize_size,
        workers=workers,
        position=lambda: (0, 0),
        device=device,
    )
    try:
        with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):  # float32 in all its bits
            for batch in batches:
                there = batch.labels.numpy() != UNREADABLE
                rows = batch.indices[there]
                readable[rows] = True
                for network, of_network in zip(networks, found, strict=True):
                    for kind, values in probabilities_by_crops(network, batch.squares, crops, device).items():
                        of_network[kind][rows] = _finite(values.numpy()[there], network)
                advance(len(there))
    except (RuntimeError, MemoryError) as error:
        if not lacks_memory(error):
            raise
        raise UserError(f"Out of memory with batch_size={batch_size}. Give a smaller one.") from error
    return found, readable


def _finite(values: NDArray[np.float32], network: TrainedModel) -> NDArray[np.float32]:
    if not np.isfinite(values).all():
        raise UserError(f"{network.checkpoint}: this network's outputs are no finite numbers.")
    return values


def evaluate(config: EvaluateConfig) -> Evaluation:
    """Evaluate what is asked for, print it, write it down, and tell W&B.

    Raises `UserError` for networks or images that are not there, or do not belong together.
    """
    members = load_models(config)
    data = load_data(members)
    folder = _folder(config, members)
    crops = list(dict.fromkeys(config.crops))
    found = evaluate_models(
        *(members, data, crops), batch_size=config.batch_size, accelerator=config.accelerator
    )
    print_evaluation(found)
    try:
        write_report(found, folder, config)
    except OSError as error:
        raise UserError(
            f"Cannot write {error.filename or folder}: {error.strerror or error}. Give another place: out=..."
        ) from error
    console.print(f"Results   {folder}", markup=False)
    if config.wandb and len(members) == 1 and config.data is None:
        track(found, folder)
    return found


def evaluate_models(
    members: Sequence[EvaluatedModel],
    data: Sequence[ValData],
    crops: Sequence[ValCrops],
    *,
    batch_size: int,
    accelerator: Accelerator,
) -> Evaluation:
    """The verdicts of trained networks, each on its own copy of the same images, and of their ensemble.

    Images that have stopped decoding are left out, for all of them. Raises `UserError` where these are too
    many, or none is left.
    """
    device = resolve_device(accelerator)
    copies = list({id(each): each for each in data}.values())
    probabilities: list[Probabilities] = [{} for _ in members]
    readable = np.ones(len(data[0].images), np.bool_)
    with progress_bar("Evaluating", len(copies) * len(readable)) as advance:
        for copy in copies:
            places = [place for place, each in enumerate(data) if each is copy]
            of_copy, there = predict_probabilities(
                *([members[place].trained for place in places], copy, crops),
                batch_size=batch_size,
                workers=os.cpu_count() or 1,
                device=device,
                advance=advance,
            )
            readable &= there
            for place, each in zip(places, of_copy, strict=True):
                probabilities[place] = each
    unreadable: dict[str, str] = {}
    for member, of_member in zip(members, data, strict=True):
        _check_readable(member, of_member)
        unreadable |= of_member.excluded | of_member.images.unreadable
    rows = np.flatnonzero(readable)
    if not len(rows):
        raise UserError(f"None of the {len(readable):,} validation images can be read.")
    labels = data[0].images.labels[rows]
    kept = probabilities
    if len(rows) < len(readable):
        kept = [{kind: values[rows] for kind, values in each.items()} for each in probabilities]
    member_predictions = [_score_all(each, labels) for each in kept]
    ensemble = _score_all(average_probabilities(kept), labels) if len(members) > 1 else None
    return Evaluation(list(members), member_predictions, ensemble, data[0], rows, unreadable)


def average_probabilities(each: Sequence[Probabilities]) -> Probabilities:
    """Averaged over networks, as in the paper's Table 2."""
    averaged: Probabilities = {}
    for kind, first in each[0].items():
        total = first.astype(np.float64)
        for other in each[1:]:
            total += other[kind]
        averaged[kind] = (total / len(each)).astype(np.float32)
    return averaged


def _score_all(probabilities: Probabilities, labels: NDArray[np.int64]) -> PredictionsByCrops:
    return {kind: score(values, labels) for kind, values in probabilities.items()}


def _check_readable(member: EvaluatedModel, data: ValData) -> None:
    """As in training: too many unreadable images are an error, a few are left out."""
    place, most = f"Data from {data.origin}", member.data.max_unreadable
    check_unreadable(data.images.unreadable, data.listed, most, place, earlier=data.unreadable)


def _folder(config: EvaluateConfig, members: Sequence[EvaluatedModel]) -> Path:
    """Where the results go, made before anything is worked out. Raises `UserError` where it cannot be."""
    if config.out is not None:
        folder = absolute(config.out)
    elif len(members) == 1 and members[0].run and config.data is None:
        folder = members[0].run / "evaluation"
    else:
        folder = (
            absolute(config.outputs) / "evaluations" / f"{datetime.now():%Y-%m-%d_%H-%M-%S}_{os.getpid()}"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ".writable").touch()
        (folder / ".writable").unlink()
    except OSError as error:
        raise UserError(f"Cannot write to {folder}: {error.strerror}. Give another: out=...") from error
    return folder
