"""Results of an evaluation."""

from collections import Counter
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from alexnet.config import DataSource, ValCrops
from alexnet.data.imagenet import CLASSES, VAL_IMAGES
from alexnet.data.loading import ValData
from alexnet.evaluation.models import EvaluatedModel
from alexnet.evaluation.predictions import Predictions
from alexnet.evaluation.published import NOTE, Published, published_errors

MISSING = 0.001  # share of ImageNet's images without which an error is still that of all of them

PredictionsByCrops = dict[ValCrops, Predictions]


@dataclass(frozen=True)
class Evaluation:
    """The verdicts of each member, and of the ensemble where there are several, on the same images.

    `rows` are the images' places in `data.images`; `unreadable` maps those left out to the reason.
    """

    members: list[EvaluatedModel]
    member_predictions: list[PredictionsByCrops]
    ensemble: PredictionsByCrops | None
    data: ValData
    rows: NDArray[np.int64]
    unreadable: dict[str, str]

    @property
    def subject(self) -> PredictionsByCrops:
        """What is told in detail: the ensemble, or the only network."""
        return self.ensemble or self.member_predictions[0]

    @property
    def name(self) -> str:
        """Of the subject."""
        return f"ensemble of {len(self.members)}" if self.ensemble else self.members[0].name

    @property
    def all_results(self) -> list[tuple[str, PredictionsByCrops]]:
        """The members, then the ensemble, with their names."""
        each = [
            (member.name, found) for member, found in zip(self.members, self.member_predictions, strict=True)
        ]
        return [*each, (self.name, self.ensemble)] if self.ensemble else each

    @property
    def crops(self) -> list[ValCrops]:
        """That were measured, in the order asked for."""
        return list(self.subject)

    @property
    def main_crops(self) -> ValCrops:
        """The crops that pictures and lists are of: ten, where these were measured."""
        return ValCrops.ten if ValCrops.ten in self.subject else ValCrops.center

    @property
    def verdict(self) -> Predictions:
        """The subject's, by the main crops."""
        return self.subject[self.main_crops]

    @cached_property
    def class_names(self) -> tuple[str, ...]:
        """What the classes are."""
        return self.members[0].trained.class_names

    @cached_property
    def short_names(self) -> tuple[str, ...]:
        """The first of each class's names, where no other class has that one: ImageNet's have several."""
        first = [name.partition(",")[0] for name in self.class_names]
        times = Counter(first)
        return tuple(
            one if times[one] == 1 else whole for one, whole in zip(first, self.class_names, strict=True)
        )

    @property
    def images_of(self) -> str:
        """Which images these are, in words."""
        return f"{self.members[0].data.name} val"

    @property
    def is_imagenet(self) -> bool:
        """Whether published errors are of the same classes and images."""
        source = self.members[0].data.source
        return source is DataSource.imagenet and len(self.data.classes) == CLASSES

    @property
    def is_whole_imagenet(self) -> bool:
        """Whether these are all of ILSVRC-2012's validation images, but for one in a thousand."""
        return self.is_imagenet and abs(len(self.rows) - VAL_IMAGES) <= MISSING * VAL_IMAGES

    def published(self, crops: ValCrops) -> list[tuple[Published, bool]]:
        """Published errors, and whether each is comparable with the subject's by these crops."""
        rows = published_errors(crops, len(self.members))
        return [(row, comparable and self.is_whole_imagenet) for row, comparable in rows]

    def notes(self) -> list[str]:
        """What a reader must know before believing the numbers."""
        notes = []
        best = [member for member in self.members if member.run and member.trained.checkpoint.stem == "best"]
        if best:
            notes.append(
                "best.ckpt is of the epoch with the least validation error: on the same images that error is"
                " a little too good. The last epoch's: checkpoint=<run>/checkpoints/last.ckpt"
            )
        if self.is_imagenet and len(self.rows) != VAL_IMAGES:
            notes.append(
                f"{len(self.rows):,} of ImageNet's {VAL_IMAGES:,} images: published errors are of all."
            )
        if self.is_imagenet:
            notes.append(NOTE)
        return notes
