"""Evaluation of trained networks, from configuration to report."""

import math
import os
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from alexnet.config import Accelerator, EvaluateConfig, ValCrops
from alexnet.data.image import UNREADABLE
from alexnet.data.loader import BatchLoader
from alexnet.data.sampling import GlobalBatchSampler
from alexnet.data.scan import check_unreadable
from alexnet.data.val_data import ValData
from alexnet.errors import UserError, lacks_memory
from alexnet.evaluation.models import EvaluatedModel, load_data, load_models, validated_on
from alexnet.evaluation.predictions import score
from alexnet.evaluation.report import track, write_report
from alexnet.evaluation.results import Evaluation, PredictionsByCrops
from alexnet.evaluation.terminal import print_evaluation
from alexnet.files import make_output_folder
from alexnet.hardware import resolve_device
from alexnet.models.lrn import LocalResponseNorm
from alexnet.paths import absolute
from alexnet.runs.trained_model import TrainedModel, probabilities_by_crops
from alexnet.terminal import console, progress_bar

Probabilities = dict[ValCrops, NDArray[np.float32]]  # (images, classes) for each kind of crops


def evaluate(config: EvaluateConfig) -> Evaluation:
    """Evaluate the networks of a configuration, print the errors, write the report, and track it in W&B.

    Raises `UserError` for networks or images that do not exist or do not belong together, and where the
    report cannot be written.
    """
    members = load_models(config)
    data = load_data(members)
    run = members[0].run if len(members) == 1 and config.data is None else None
    note = ""
    if run is not None and config.data_root is not None and not validated_on(run, data[0]):
        run, note = None, ": not those on which the run was validated"
    for origin, count in {copy.origin: len(copy.images) for copy in data}.items():
        console.print(f"Images    {count:,}, from {origin}{note}", markup=False)
    folder = _output_folder(config, run)
    make_output_folder(folder)  # before anything is computed
    evaluation = evaluate_models(
        members, data, config.crops, batch_size=config.batch_size, accelerator=config.accelerator
    )
    print_evaluation(evaluation)
    try:
        write_report(evaluation, folder, config.batch_size)
    except OSError as error:
        raise UserError(
            f"Cannot write {error.filename or folder}: {error.strerror or error}. Give another: out=..."
        ) from error
    console.print(f"Results   {folder}", markup=False)
    if config.wandb and run is not None:
        track(evaluation, run, folder)
    return evaluation


def _output_folder(config: EvaluateConfig, run: Path | None) -> Path:
    """Return `out`, or the folder of a run evaluated on its own images, or a new one under `outputs`."""
    if config.out is not None:
        return absolute(config.out)
    if run is not None:
        return run / "evaluation"
    return absolute(config.outputs) / "evaluations" / f"{datetime.now():%Y-%m-%d_%H-%M-%S}_{os.getpid()}"


def evaluate_models(
    members: Sequence[EvaluatedModel],
    data: Sequence[ValData],
    crops: Sequence[ValCrops],
    *,
    batch_size: int,
    accelerator: Accelerator,
) -> Evaluation:
    """Evaluate networks, each on its own copy of the same images, and their ensemble.

    Images that have become unreadable are left out for all networks. Raises `UserError` where too many are
    unreadable, or all.
    """
    device = resolve_device(accelerator)
    members_of_copy: dict[int, list[int]] = defaultdict(list)  # networks that share a copy read it once
    for number, copy in enumerate(data):
        members_of_copy[id(copy)].append(number)
    probabilities: list[Probabilities] = [{} for _ in members]
    readable = np.ones(len(data[0].images), np.bool_)
    with progress_bar("Evaluating", len(members_of_copy) * len(readable)) as advance:
        for numbers in members_of_copy.values():
            of_copy, readable_in_copy = predict_probabilities(
                *([members[number] for number in numbers], data[numbers[0]], crops),
                batch_size=batch_size,
                device=device,
                advance=advance,
            )
            readable &= readable_in_copy
            for number, of_member in zip(numbers, of_copy, strict=True):
                probabilities[number] = of_member
    for member, copy in zip(members, data, strict=True):
        _check_readable(member, copy)
    indices = np.flatnonzero(readable)
    if not len(indices):
        raise UserError(f"None of the {len(readable):,} validation images can be read.")
    if len(indices) < len(readable):
        probabilities = [_select(of_member, indices) for of_member in probabilities]
    labels = data[0].images.labels[indices]
    return Evaluation(
        members=list(members),
        member_predictions=[_score_crops(of_member, labels) for of_member in probabilities],
        ensemble=_score_crops(average_probabilities(probabilities), labels) if len(members) > 1 else None,
        data=data[0],
        indices=indices,
        unreadable={
            path: reason for copy in data for path, reason in (copy.excluded | copy.images.unreadable).items()
        },
    )


def predict_probabilities(
    members: Sequence[EvaluatedModel],
    data: ValData,
    crops: Collection[ValCrops],
    *,
    batch_size: int,
    device: torch.device,
    advance: Callable[[int], None],
) -> tuple[list[Probabilities], NDArray[np.bool_]]:
    """Return each network's class probabilities for all images, in float32, and which images are readable.

    The networks share a `resize_size`, so that an image is read once for all of them. `advance` is called
    with the number of images of each batch. Rows of unreadable images are zero. Raises `UserError` where
    memory runs out, and where a network's output is not finite.
    """
    shape = (len(data.images), len(data.classes))
    probabilities: list[Probabilities] = [
        {kind: np.zeros(shape, np.float32) for kind in crops} for _ in members
    ]
    readable = np.zeros(shape[0], np.bool_)
    calls = math.ceil(shape[0] / batch_size) * (10 if ValCrops.ten in crops else 1)
    for member in members:
        prepare_network(member.trained.network, calls)
    batches = BatchLoader(
        data.images,
        GlobalBatchSampler(shape[0], batch_size),
        size=members[0].trained.resize_size,
        workers=os.cpu_count() or 1,
        position=lambda: (0, 0),
        device=device,
    )
    try:
        for batch in batches:
            in_batch = batch.labels.numpy() != UNREADABLE
            rows = batch.indices[in_batch]
            readable[rows] = True
            for member, of_member in zip(members, probabilities, strict=True):
                bfloat16 = member.precision == "bf16-mixed"
                by_crops = probabilities_by_crops(
                    member.trained, batch.images, crops, device, bfloat16=bfloat16
                )
                for kind, values in by_crops.items():
                    of_member[kind][rows] = _check_finite(values.numpy()[in_batch], member.trained)
            advance(len(in_batch))
    except (RuntimeError, MemoryError) as error:
        if not lacks_memory(error):
            raise
        raise UserError(f"Out of memory with batch_size={batch_size}. Give a smaller one.") from error
    return probabilities, readable


def prepare_network(network: nn.Module, calls: int) -> None:
    """Make a network fast on `calls` batches; its outputs change by rounding alone."""
    network.to(memory_format=torch.channels_last)
    for layer in network.modules():
        if isinstance(layer, LocalResponseNorm):
            layer.compiled, layer.calls = None, calls


def _check_finite(values: NDArray[np.float32], network: TrainedModel) -> NDArray[np.float32]:
    if not np.isfinite(values).all():
        raise UserError(f"{network.checkpoint}: this network's outputs are not finite numbers.")
    return values


def average_probabilities(members: Sequence[Probabilities]) -> Probabilities:
    """Average probabilities over networks, as in the paper's Table 2."""
    averaged: Probabilities = {}
    for kind, first in members[0].items():
        total = first.astype(np.float64)
        for other in members[1:]:
            total += other[kind]
        averaged[kind] = (total / len(members)).astype(np.float32)
    return averaged


def _select(probabilities: Probabilities, indices: NDArray[np.int64]) -> Probabilities:
    return {kind: values[indices] for kind, values in probabilities.items()}


def _score_crops(probabilities: Probabilities, labels: NDArray[np.int64]) -> PredictionsByCrops:
    return {kind: score(values, labels) for kind, values in probabilities.items()}


def _check_readable(member: EvaluatedModel, data: ValData) -> None:
    """Raise `UserError` where more images are unreadable than training would accept."""
    origin, most = f"Data from {data.origin}", member.data.max_unreadable
    check_unreadable(data.images.unreadable, data.listed, most, origin, earlier=data.unreadable)
