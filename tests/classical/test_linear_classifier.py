"""The linear classifier: what it finds, and what is said of it, against scikit-learn and numpy."""

import numpy as np
import pytest
from hand_made import hand_made
from numpy.typing import NDArray
from sklearn.metrics import log_loss, top_k_accuracy_score

from alexnet.classical.classifier import LinearClassifier
from alexnet.classical.extraction import Described


def clouds(classes: int, images: int = 300, length: int = 12, apart: float = 1.0) -> Described:
    """Points around a centre for each class, in units that differ a thousandfold."""
    rng = np.random.default_rng(0)
    centres, labels = apart * rng.normal(0, 1, (classes, length)), np.arange(images) % classes
    points = (centres[labels] + rng.normal(0, 1, (images, length))) * np.logspace(-3, 3, length)
    return Described(points.astype(np.float32), labels, 0.0)


def fitted(images: Described, classes: int, seed: int = 0) -> LinearClassifier:
    classifier = LinearClassifier(classes, hand_made(), seed)
    counted: list[int] = []
    classifier.fit(images, counted.append)
    assert sum(counted) == 3 * len(images.labels)  # three passes
    return classifier


def probabilities(classifier: LinearClassifier, images: Described) -> NDArray[np.float64]:
    return np.exp(classifier.log_probabilities(images.features))


@pytest.mark.parametrize("classes", [2, 7])
def test_probabilities_are_scikit_learns(classes: int) -> None:
    images = clouds(classes)
    classifier = fitted(images, classes)
    scaled = classifier._scaler.transform(images.features)
    found = probabilities(classifier, images)
    assert found.shape == (300, classes)
    np.testing.assert_allclose(found, classifier._linear.predict_proba(scaled), rtol=1e-4, atol=1e-6)
    assert classifier.parameters == (13 if classes == 2 else 7 * 13)


def test_errors_and_loss_are_scikit_learns() -> None:
    images = clouds(7, apart=0.5)
    classifier = fitted(images, 7)
    found, each = classifier.evaluate(images, lambda count: None), probabilities(classifier, images)
    for k in (1, 5):
        expected = 100 * (1 - top_k_accuracy_score(images.labels, each, k=k))
        assert found[f"top{k}_error"] == pytest.approx(expected)
    assert found["loss"] == pytest.approx(log_loss(images.labels, each))
    assert found["samples"] == 300
    assert 0 < found["top5_error"] < found["top1_error"] < 60  # guessing: 86, percent


def test_few_classes_have_no_top5() -> None:
    found = fitted(clouds(5), 5).evaluate(clouds(5), lambda count: None)
    assert found.keys() == {"loss", "top1_error", "samples"}


def test_a_classifier_that_is_all_too_sure_has_a_finite_loss() -> None:
    images = clouds(3, apart=5)
    classifier = fitted(images, 3)
    classifier._linear.coef_ *= 1e4
    wrong = Described(images.features, (images.labels + 1) % 3, 0.0)
    found = classifier.evaluate(wrong, lambda count: None)
    assert found["top1_error"] > 99
    assert 1e3 < found["loss"] < np.inf


def test_the_seed_decides() -> None:
    images = clouds(3)
    one, again, other = (probabilities(fitted(images, 3, seed), images) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, again)
    assert (one != other).any()
