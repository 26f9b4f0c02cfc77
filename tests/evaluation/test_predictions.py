"""Errors, losses and confusions against counts by hand."""

import numpy as np
import pytest

from alexnet.evaluation.predictions import Confusion, score


def test_by_hand() -> None:
    labels = np.array([0, 0, 0, 1, 2, 2])
    rows = [
        [0.7, 0.2, 0.1],
        [0.05, 0.6, 0.35],
        [0.2, 0.7, 0.1],
        [0.1, 0.8, 0.1],
        [0.9, 0.1, 0.0],
        [0.1, 0.3, 0.6],
    ]
    predictions = score(np.array(rows, np.float32), labels)
    metrics = predictions.metrics
    assert metrics.top1_error == pytest.approx(50)
    assert metrics.top1_standard_error == pytest.approx(100 * (0.25 / 6) ** 0.5)
    assert (metrics.top5_error, metrics.samples) == (None, 6)  # too few classes for a top-5
    table = np.zeros((3, 3), int)
    table[predictions.confusion.labels, predictions.confusion.predicted] = predictions.confusion.images
    assert table.tolist() == [[1, 2, 0], [0, 1, 0], [1, 0, 1]]
    assert predictions.confusion.images.all()  # only pairs that occur
    assert predictions.class_images.tolist() == [3, 1, 2]
    assert predictions.class_wrong.tolist() == [2, 0, 1]
    assert predictions.most_confused(5) == [Confusion(0, 1, 2, 3), Confusion(2, 0, 1, 2)]
    assert predictions.worst(9).tolist() == [4, 2, 1]  # by confidence, not by loss
    losses = [0.7, 0.05, 0.2, 0.8, 2**-149, 0.6]  # the least that float32 holds, for 0
    assert metrics.loss == pytest.approx(-np.mean(np.log(losses)), rel=1e-6)


def test_top5_is_among_the_five_most_probable() -> None:
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.ones(9), 400).astype(np.float32)
    labels = rng.integers(0, 9, 400)
    predictions = score(probabilities, labels)
    wrong = [
        label not in sorted(range(9), key=lambda number: -row[number])[:5]
        for row, label in zip(probabilities.tolist(), labels.tolist(), strict=True)
    ]
    assert predictions.metrics.top5_error == pytest.approx(100 * np.mean(wrong))
    assert predictions.class_wrong_top5.tolist() == [
        sum(w for w, label in zip(wrong, labels, strict=True) if label == number) for number in range(9)
    ]
