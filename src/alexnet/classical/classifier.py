"""A linear classifier on standardised features, fitted by scikit-learn."""

import warnings

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_expit, log_softmax
from sklearn.exceptions import ConvergenceWarning  # type: ignore[import-untyped]
from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped]
from sklearn.preprocessing import StandardScaler  # type: ignore[import-untyped]

from alexnet.classical.extraction import FeatureMatrix
from alexnet.config import HandMadeConfig
from alexnet.metrics.classification.topk_error import MIN_CLASSES_FOR_TOP5


class Standardizer:
    """Standardisation of features to mean 0 and standard deviation 1 / sqrt(length) over given images.

    The feature vector of an image then has a mean squared norm of 1, so that the same weight decay suits any
    number of features.
    """

    def __init__(self, images: FeatureMatrix) -> None:
        self._scaler = StandardScaler()
        for rows in images.blocks():
            self._scaler.partial_fit(images.features[rows])

    def apply(self, images: FeatureMatrix) -> None:
        """Standardise features in place."""
        for rows in images.blocks():
            part = self._scaler.transform(images.features[rows])
            images.features[rows] = part / np.sqrt(part.shape[1])


class LinearClassifier:
    """Multinomial logistic regression with weight decay, by L-BFGS, which is deterministic."""

    def __init__(self, classes: int, config: HandMadeConfig) -> None:
        self.classes, self.config = classes, config
        self._linear: LogisticRegression | None = None

    @property
    def parameters(self) -> int:
        """Number of weights and biases; 0 before fitting."""
        return 0 if self._linear is None else self._linear.coef_.size + self._linear.intercept_.size

    def fit(self, images: FeatureMatrix) -> str | None:
        """Fit to standardised features of images of all classes; return a warning if it has not converged."""
        # scikit-learn's C is relative to the sum over images
        inverse_decay = 1 / (self.config.alpha * len(images.labels))
        linear = LogisticRegression(C=inverse_decay, max_iter=self.config.max_iterations)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            linear.fit(images.features, images.labels)
        self._linear = linear
        if linear.n_iter_[0] < self.config.max_iterations:
            return None
        return (
            f"The classifier was still changing after classical.max_iterations={self.config.max_iterations}:"
            " allow more."
        )

    def log_probabilities(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return log-probabilities (N, classes) for standardised features (N, length)."""
        assert self._linear is not None
        scores = self._linear.decision_function(features).astype(np.float64)
        if scores.ndim == 1:  # for two classes there is one score, that of the second
            return log_expit(np.stack([-scores, scores], axis=1))
        return log_softmax(scores, axis=1)

    def evaluate(self, images: FeatureMatrix) -> dict[str, float]:
        """Return mean cross-entropy, errors in percent, and the number of images.

        The top-5 error is left out where there are few classes.
        """
        ranks, losses = [], []
        for rows in images.blocks():
            log_probabilities = self.log_probabilities(images.features[rows])
            labels = images.labels[rows][:, None]
            order = np.argsort(-log_probabilities, axis=1, kind="stable")
            ranks.append((order == labels).argmax(axis=1))
            losses.append(-np.take_along_axis(log_probabilities, labels, axis=1)[:, 0])
        rank, loss = np.concatenate(ranks), np.concatenate(losses)
        ks = [1] if self.classes < MIN_CLASSES_FOR_TOP5 else [1, 5]
        errors = {f"top{k}_error": 100 * int((rank >= k).sum()) / len(rank) for k in ks}
        return {"loss": float(loss.mean()), **errors, "samples": len(rank)}
