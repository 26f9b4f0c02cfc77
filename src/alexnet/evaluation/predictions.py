"""Errors, confusions and worst mistakes, computed from class probabilities."""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from alexnet.metrics.classification.topk_error import MIN_CLASSES_FOR_TOP5

TOP = 5
# a probability that float32 rounds to 0 is at most this
LEAST = float(np.finfo(np.float32).smallest_subnormal)


class ErrorMetrics(NamedTuple):
    """Errors in percent with their binomial standard errors, mean cross-entropy in nats, number of images.

    Where there are few classes the top-5 error is None.
    """

    top1_error: float
    top1_standard_error: float
    top5_error: float | None
    top5_standard_error: float | None
    loss: float
    samples: int


class Confusion(NamedTuple):
    """A pair of classes: `confused` of the `images` images of `label` are classified as `predicted`."""

    label: int
    predicted: int
    confused: int
    images: int


class ConfusionCounts(NamedTuple):
    """Numbers of images of the pairs of classes that occur, sorted by `labels`, then by `predicted`.

    Ten thousand classes have a hundred million pairs, of which no more occur than there are images.
    """

    labels: NDArray[np.int64]
    predicted: NDArray[np.int64]
    images: NDArray[np.int64]

    @property
    def wrong(self) -> NDArray[np.bool_]:
        """Which of the pairs are mistakes."""
        return self.labels != self.predicted


@dataclass(frozen=True)
class Predictions:
    """Predictions of a network, or an ensemble, for images with `labels` (N,).

    `top` (N, 5) holds the most probable classes in descending order, `top_probabilities` (N, 5) their
    probabilities, `losses` (N,) the cross-entropies in nats. `classes` is the number of classes.
    """

    classes: int
    labels: NDArray[np.int64]
    top: NDArray[np.int64]
    top_probabilities: NDArray[np.float32]
    losses: NDArray[np.float64]

    @cached_property
    def wrong(self) -> NDArray[np.bool_]:
        """Whether each image is misclassified, (N,)."""
        return self.top[:, 0] != self.labels

    @cached_property
    def wrong_top5(self) -> NDArray[np.bool_]:
        """Whether each image's own class is not among the five most probable, (N,)."""
        return (self.top != self.labels[:, None]).all(1)

    @cached_property
    def metrics(self) -> ErrorMetrics:
        """Errors and loss over all images."""
        top1, top1_spread = _error_with_standard_error(self.wrong)
        top5, top5_spread = _error_with_standard_error(self.wrong_top5) if self.has_top5 else (None, None)
        return ErrorMetrics(top1, top1_spread, top5, top5_spread, float(self.losses.mean()), len(self.labels))

    @property
    def has_top5(self) -> bool:
        """Whether there are enough classes for a meaningful top-5 error."""
        return self.classes >= MIN_CLASSES_FOR_TOP5

    @cached_property
    def confusion(self) -> ConfusionCounts:
        """Confusion matrix in numbers of images, without zeros."""
        pairs, images = np.unique(self.labels * self.classes + self.top[:, 0], return_counts=True)
        return ConfusionCounts(pairs // self.classes, pairs % self.classes, images)

    @cached_property
    def class_images(self) -> NDArray[np.int64]:
        """Number of images of each class, (classes,)."""
        return np.bincount(self.labels, minlength=self.classes)

    @cached_property
    def class_wrong(self) -> NDArray[np.int64]:
        """Number of misclassified images of each class, (classes,)."""
        return np.bincount(self.labels[self.wrong], minlength=self.classes)

    @cached_property
    def class_wrong_top5(self) -> NDArray[np.int64]:
        """Number of images of each class whose class is not among the five most probable, (classes,)."""
        return np.bincount(self.labels[self.wrong_top5], minlength=self.classes)

    def most_confused(self, most: int) -> list[Confusion]:
        """Return at most `most` pairs of classes with the most confusions, in descending order."""
        labels, predicted, counts = (part[self.confusion.wrong] for part in self.confusion)
        order = np.argsort(-counts, kind="stable")[:most]
        rows = np.stack([labels, predicted, counts, self.class_images[labels]], 1)[order]
        return [Confusion(*row) for row in rows.tolist()]

    def worst(self, most: int) -> NDArray[np.int64]:
        """Return the indices of the images misclassified with the highest confidence, at most `most`."""
        wrong = np.flatnonzero(self.wrong)
        return wrong[np.argsort(-self.top_probabilities[wrong, 0], kind="stable")[:most]]


def score(probabilities: NDArray[np.float32], labels: NDArray[np.int64]) -> Predictions:
    """Compute the predictions of class probabilities (N, classes) for images with labels (N,)."""
    classes = probabilities.shape[1]
    top_probabilities, top = torch.from_numpy(probabilities).topk(min(TOP, classes))
    of_label = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    losses = -np.log(np.maximum(of_label, LEAST))
    return Predictions(classes, labels, top.numpy(), top_probabilities.numpy(), losses)


def _error_with_standard_error(wrong: NDArray[np.bool_]) -> tuple[float, float]:
    """Return an error and its binomial standard error, in percent."""
    share = float(wrong.mean())
    return 100 * int(wrong.sum()) / len(wrong), 100 * float(np.sqrt(share * (1 - share) / len(wrong)))
