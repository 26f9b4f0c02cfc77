"""An evaluation from beginning to end: networks, images, verdicts, and what is written of them."""

import os
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from alexnet.choices import Accelerator, ValCrops
from alexnet.config import EvaluateConfig
from alexnet.data.dataset import ValData
from alexnet.data.unreadable import check_unreadable
from alexnet.errors import UserError
from alexnet.evaluation.evaluation import Evaluation, Verdicts
from alexnet.evaluation.measure import Probabilities, measure
from alexnet.evaluation.members import Member, load_data, load_members
from alexnet.evaluation.report import write_report
from alexnet.evaluation.show import print_evaluation
from alexnet.evaluation.track import track
from alexnet.evaluation.verdict import judge
from alexnet.paths import absolute
from alexnet.progress import console, progress_bar
from alexnet.training.devices import resolve_device


def evaluate(config: EvaluateConfig) -> Evaluation:
    """Evaluate what is asked for, print it, write it down, and tell W&B.

    Raises `UserError` for networks or images that are not there, or do not belong together.
    """
    members = load_members(config)
    data = load_data(members)
    folder = _folder(config, members)
    crops = list(dict.fromkeys(config.crops))
    found = judged(*(members, data, crops), batch_size=config.batch_size, accelerator=config.accelerator)
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


def judged(
    members: Sequence[Member],
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
            of_copy, there = measure(
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
    of_members = [_verdicts(each, labels) for each in kept]
    ensemble = _verdicts(mean(kept), labels) if len(members) > 1 else None
    return Evaluation(list(members), of_members, ensemble, data[0], rows, unreadable)


def mean(each: Sequence[Probabilities]) -> Probabilities:
    """Averaged over networks, as in the paper's Table 2."""
    averaged: Probabilities = {}
    for kind, first in each[0].items():
        total = first.astype(np.float64)
        for other in each[1:]:
            total += other[kind]
        averaged[kind] = (total / len(each)).astype(np.float32)
    return averaged


def _verdicts(probabilities: Probabilities, labels: NDArray[np.int64]) -> Verdicts:
    return {kind: judge(values, labels) for kind, values in probabilities.items()}


def _check_readable(member: Member, data: ValData) -> None:
    """As in training: too many unreadable images are an error, a few are left out."""
    place, most = f"Data from {data.origin}", member.data.max_unreadable
    check_unreadable(data.images.unreadable, data.listed, most, place, earlier=data.unreadable)


def _folder(config: EvaluateConfig, members: Sequence[Member]) -> Path:
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
