"""The linear classifier: its optimum, errors and loss, against scikit-learn and numpy."""

from typing import Any

import numpy as np
import pytest
from hand_made import hand_made
from numpy.typing import NDArray
from sklearn.metrics import log_loss, top_k_accuracy_score

from alexnet.classical.classifier import LinearClassifier, Standardizer
from alexnet.classical.extraction import FeatureMatrix


def clouds(classes: int, images: int = 300, length: int = 12, apart: float = 1.0) -> FeatureMatrix:
    """Draw points around a centre for each class, in features of very different scales."""
    rng = np.random.default_rng(0)
    centres, labels = apart * rng.normal(0, 1, (classes, length)), np.arange(images) % classes
    points = (centres[labels] + rng.normal(0, 1, (images, length))) * np.logspace(-3, 3, length)
    return FeatureMatrix(points.astype(np.float32), labels, 0.0)


def fitted(images: FeatureMatrix, classes: int, **given: Any) -> LinearClassifier:
    """Standardise the features in place, and return a classifier fitted to them."""
    Standardizer(images).apply(images)
    classifier = LinearClassifier(classes, hand_made(**given))
    assert classifier.fit(images) is None
    return classifier


def probabilities(classifier: LinearClassifier, images: FeatureMatrix) -> NDArray[np.float64]:
    return np.exp(classifier.log_probabilities(images.features))


def test_standardised_over_all_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("alexnet.classical.extraction.BLOCK", 70)
    images, untouched = clouds(3), clouds(3).features.astype(np.float64)
    standardizer = Standardizer(images)
    other = FeatureMatrix(images.features[:5].copy(), images.labels[:5], 0.0)
    for matrix in (images, other):
        standardizer.apply(matrix)
    expected = (untouched - untouched.mean(axis=0)) / untouched.std(axis=0) / np.sqrt(12)
    np.testing.assert_allclose(images.features, expected, atol=1e-4)
    np.testing.assert_allclose(other.features, expected[:5], atol=1e-4)
    assert (images.features**2).sum(axis=1).mean() == pytest.approx(1, rel=1e-4)


@pytest.mark.parametrize("classes", [2, 7])
def test_the_optimum_of_loss_and_weight_decay(classes: int) -> None:
    """At the fitted weights, the gradient of the mean loss plus alpha / 2 |w|^2 is zero, by hand."""
    images = clouds(classes)
    classifier = fitted(images, classes, alpha=0.01)
    predicted = probabilities(classifier, images)
    assert predicted.shape == (300, classes)
    np.testing.assert_allclose(predicted.sum(axis=1), 1)
    linear = classifier._linear
    assert linear is not None
    np.testing.assert_allclose(predicted, linear.predict_proba(images.features), atol=1e-6)
    wrong = predicted - np.eye(classes)[images.labels]
    wrong = wrong[:, 1:] if classes == 2 else wrong  # for two classes there is one row of weights
    gradient = wrong.T @ images.features / 300 + 0.01 * linear.coef_
    assert abs(gradient).max() < 2e-4
    assert abs(wrong.mean(axis=0)).max() < 2e-4  # biases do not decay
    assert classifier.parameters == (13 if classes == 2 else 7 * 13)


def test_errors_and_loss_are_scikit_learns() -> None:
    images = clouds(7, apart=0.5)
    classifier = fitted(images, 7)
    metrics, predicted = classifier.evaluate(images), probabilities(classifier, images)
    for k in (1, 5):
        expected = 100 * (1 - top_k_accuracy_score(images.labels, predicted, k=k))
        assert metrics[f"top{k}_error"] == pytest.approx(expected)
    assert metrics["loss"] == pytest.approx(log_loss(images.labels, predicted))
    assert metrics["samples"] == 300
    assert 0 < metrics["top5_error"] < metrics["top1_error"] < 60  # chance: 86, percent


def test_few_classes_have_no_top5() -> None:
    images = clouds(5)
    metrics = fitted(images, 5).evaluate(images)
    assert metrics.keys() == {"loss", "top1_error", "samples"}


def test_a_wrong_classifier_of_extreme_weights_has_a_finite_loss() -> None:
    images = clouds(3, apart=5)
    classifier = fitted(images, 3)
    assert classifier._linear is not None
    classifier._linear.coef_ *= 1e4
    wrong = FeatureMatrix(images.features, (images.labels + 1) % 3, 0.0)
    metrics = classifier.evaluate(wrong)
    assert metrics["top1_error"] > 99
    assert 1e3 < metrics["loss"] < np.inf


def test_a_fit_that_has_not_converged_returns_a_warning() -> None:
    images = clouds(3)
    Standardizer(images).apply(images)
    warning = LinearClassifier(3, hand_made(max_iterations=2)).fit(images)
    assert warning is not None
    assert "classical.max_iterations=2: allow more" in warning
