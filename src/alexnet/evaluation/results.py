"""Results of an evaluation."""

from collections import Counter
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from alexnet.config import ValCrops
from alexnet.data.imagenet import VAL_IMAGES
from alexnet.data.imagenet_classes import CLASSES
from alexnet.data.val_data import ValData
from alexnet.evaluation.models import EvaluatedModel
from alexnet.evaluation.predictions import Predictions
from alexnet.evaluation.published import NOTE, Published, published_errors

MAX_MISSING = 0.001  # share of ImageNet's images without which an error is still that of all of them
CROP_NAMES = {ValCrops.center: "centre", ValCrops.ten: "ten"}

PredictionsByCrops = dict[ValCrops, Predictions]


@dataclass(frozen=True)
class Evaluation:
    """Predictions of each network, and of the ensemble where there are several, for the same images.

    `indices` (N,) are those of the images in `data.images`; `unreadable` maps the path of each file left out
    to the reason.
    """

    members: list[EvaluatedModel]
    member_predictions: list[PredictionsByCrops]
    ensemble: PredictionsByCrops | None
    data: ValData
    indices: NDArray[np.int64]
    unreadable: dict[str, str]

    @property
    def primary(self) -> PredictionsByCrops:
        """Predictions that are reported in detail: of the ensemble, or of the only network."""
        return self.ensemble or self.member_predictions[0]

    @property
    def name(self) -> str:
        """Name of the ensemble, or of the only network."""
        return f"ensemble of {len(self.members)}" if self.ensemble else self.members[0].name

    @property
    def all_results(self) -> list[tuple[str, PredictionsByCrops]]:
        """Names and predictions of the networks, then of the ensemble."""
        names = [member.name for member in self.members]
        results = list(zip(names, self.member_predictions, strict=True))
        return [*results, (self.name, self.ensemble)] if self.ensemble else results

    @property
    def crops(self) -> list[ValCrops]:
        """Kinds of crops, in the order asked for."""
        return list(self.primary)

    @property
    def main_crops(self) -> ValCrops:
        """Crops behind figures and lists: ten, where these were evaluated."""
        return ValCrops.ten if ValCrops.ten in self.primary else ValCrops.center

    @property
    def predictions(self) -> Predictions:
        """Primary predictions by the main crops."""
        return self.primary[self.main_crops]

    @cached_property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes in words."""
        return self.members[0].trained.class_names

    @cached_property
    def short_names(self) -> tuple[str, ...]:
        """First of the several names that ImageNet's classes have, where no other class has the same."""
        first = [name.partition(",")[0] for name in self.class_names]
        counts = Counter(first)
        return tuple(
            short if counts[short] == 1 else full for short, full in zip(first, self.class_names, strict=True)
        )

    @property
    def data_name(self) -> str:
        """Name of the data set and the split."""
        return f"{self.members[0].data.name} val"

    @property
    def is_imagenet(self) -> bool:
        """Whether the classes and images are those of published errors."""
        source = self.members[0].data.source
        return source == "imagenet" and len(self.data.classes) == CLASSES

    @property
    def is_whole_imagenet(self) -> bool:
        """Whether the images are all of ILSVRC-2012's validation images, but for one in a thousand."""
        return self.is_imagenet and abs(len(self.indices) - VAL_IMAGES) <= MAX_MISSING * VAL_IMAGES

    def published(self, crops: ValCrops) -> list[tuple[Published, bool]]:
        """Return published errors, and whether each is comparable with the primary result by these crops."""
        rows = published_errors(crops, len(self.members))
        return [(row, comparable and self.is_whole_imagenet) for row, comparable in rows]

    def notes(self) -> list[str]:
        """Return what a reader must know to interpret the errors."""
        notes = []
        if any(member.run and member.trained.checkpoint.stem == "best" for member in self.members):
            notes.append(
                "best.ckpt is the epoch with the lowest error on these validation images, so that error is"
                " slightly too low. For the last epoch: checkpoint=<run>/checkpoints/last.ckpt"
            )
        if self.is_imagenet and len(self.indices) != VAL_IMAGES:
            notes.append(
                f"{len(self.indices):,} of ImageNet's {VAL_IMAGES:,} images, while published errors use all."
            )
        if self.is_imagenet:
            notes.append(NOTE)
        return notes


def crops_in_words(crops: ValCrops) -> str:
    """Return "centre crop" or "ten crops"."""
    return f"{CROP_NAMES[crops]} crop{'s' * (crops is ValCrops.ten)}"
