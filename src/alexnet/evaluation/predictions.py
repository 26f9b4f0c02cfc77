"""Errors, confusions and worst mistakes, from predicted probabilities."""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from alexnet.metrics import MIN_CLASSES_FOR_TOP5

TOP = 5
LEAST = float(np.finfo(np.float32).smallest_subnormal)  # what float32 holds as 0 is at most this


class ErrorMetrics(NamedTuple):
    """Errors in percent with their binomial standard errors; the mean of -log of the right class's
    probability, in nats; and over how many images. Few classes have no top-5.
    """

    top1_error: float
    top1_standard_error: float
    top5_error: float | None
    top5_standard_error: float | None
    loss: float
    samples: int


class Confusion(NamedTuple):
    """Of `images` images of a class so many are taken for another."""

    right: int
    taken_for: int
    times: int
    images: int


@dataclass(frozen=True)
class Predictions:
    """What a network, or an ensemble, says of images with `labels` (N,).

    `top` (N, 5) are the most probable classes, the most probable first, with `top_probabilities` (N, 5);
    `losses` (N,).
    """

    classes: int
    labels: NDArray[np.int64]
    top: NDArray[np.int64]
    top_probabilities: NDArray[np.float32]
    losses: NDArray[np.float64]

    @cached_property
    def wrong(self) -> NDArray[np.bool_]:
        """Whether the most probable class is not the image's own."""
        return self.top[:, 0] != self.labels

    @cached_property
    def wrong_top5(self) -> NDArray[np.bool_]:
        """Whether the image's own class is not among the five most probable."""
        return (self.top != self.labels[:, None]).all(1)

    @cached_property
    def figures(self) -> ErrorMetrics:
        """Over all images."""
        error, spread = _error(self.wrong)
        error5, spread5 = _error(self.wrong_top5) if self.has_top5 else (None, None)
        return ErrorMetrics(error, spread, error5, spread5, float(self.losses.mean()), len(self.labels))

    @property
    def has_top5(self) -> bool:
        """Whether there are enough classes for a top-5 error to say something."""
        return self.classes >= MIN_CLASSES_FOR_TOP5

    @cached_property
    def confusion(self) -> NDArray[np.int64]:
        """Numbers of images, (classes, classes): a row for each class, in it a column for each verdict."""
        pairs = self.labels * self.classes + self.top[:, 0]
        return np.bincount(pairs, minlength=self.classes**2).reshape(self.classes, self.classes)

    @property
    def class_images(self) -> NDArray[np.int64]:
        """Images of each class, (classes,)."""
        return np.bincount(self.labels, minlength=self.classes)

    @property
    def class_wrong(self) -> NDArray[np.int64]:
        """Of each class, how many images are not recognised, (classes,)."""
        return np.bincount(self.labels[self.wrong], minlength=self.classes)

    @property
    def class_wrong_top5(self) -> NDArray[np.int64]:
        """As `class_wrong`, by the five most probable classes."""
        return np.bincount(self.labels[self.wrong_top5], minlength=self.classes)

    def most_confused(self, most: int) -> list[Confusion]:
        """The pairs of classes with the most confusions, the most first."""
        counts = self.confusion.copy()
        np.fill_diagonal(counts, 0)
        order = np.argsort(-counts, axis=None, kind="stable")[:most]
        images = self.class_images
        pairs = (divmod(int(place), self.classes) for place in order if counts.flat[place])
        return [Confusion(row, col, int(counts[row, col]), int(images[row])) for row, col in pairs]

    def worst(self, most: int) -> NDArray[np.int64]:
        """The images that are wrong with the highest confidence, the highest first."""
        wrong = np.flatnonzero(self.wrong)
        return wrong[np.argsort(-self.top_probabilities[wrong, 0], kind="stable")[:most]]


def score(probabilities: NDArray[np.float32], labels: NDArray[np.int64]) -> Predictions:
    """The verdict of probabilities (N, classes) on images with labels (N,)."""
    classes = probabilities.shape[1]
    top_probabilities, top = torch.from_numpy(probabilities).topk(min(TOP, classes))
    right = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    return Predictions(
        classes, labels, top.numpy(), top_probabilities.numpy(), -np.log(np.maximum(right, LEAST))
    )


def _error(wrong: NDArray[np.bool_]) -> tuple[float, float]:
    share = float(wrong.mean())
    return 100 * share, 100 * float(np.sqrt(share * (1 - share) / len(wrong)))
