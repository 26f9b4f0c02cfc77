"""A linear classifier of features, trained by scikit-learn in blocks: not all of them need be in memory."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_expit, log_softmax
from sklearn.linear_model import SGDClassifier  # type: ignore[import-untyped]
from sklearn.preprocessing import StandardScaler  # type: ignore[import-untyped]

from alexnet.classical.extraction import Described
from alexnet.config.classical import HandMadeConfig
from alexnet.training.module import FEWEST_CLASSES_FOR_TOP5

BLOCK = 1024  # images at a time


class LinearClassifier:
    """Logistic regression, each class against the others, on standardised features.

    Stochastic gradient descent with weight decay `alpha`; the weights are the mean over its steps
    (Polyak & Juditsky 1992). `seed` decides the order of the images.
    """

    def __init__(self, classes: int, config: HandMadeConfig, seed: int) -> None:
        self.classes, self.passes, self.seed = classes, config.passes, seed
        self._scaler = StandardScaler()
        self._linear = SGDClassifier(loss="log_loss", alpha=config.alpha, average=True, random_state=seed)

    @property
    def parameters(self) -> int:
        """Weights and biases; 0 before anything is learned."""
        if not hasattr(self._linear, "coef_"):
            return 0
        return self._linear.coef_.size + self._linear.intercept_.size

    def fit(self, images: Described, advance: Callable[[int], None]) -> None:
        """Learn; `advance` is told each number of images that is done, of all passes, and may raise."""
        everything = np.arange(len(images.labels))
        for rows in images.blocks(everything, BLOCK):
            self._scaler.partial_fit(images.features[rows])
        for number in range(self.passes):
            order = np.random.default_rng([self.seed, number]).permutation(everything)
            for rows in images.blocks(order, BLOCK):
                features = self._scaler.transform(images.features[rows])
                self._linear.partial_fit(features, images.labels[rows], np.arange(self.classes))
                advance(len(rows))

    def log_probabilities(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """Logarithms of the probabilities (N, classes), for features (N, length).

        Those of SGDClassifier.predict_proba, each class's own divided by their sum, but finite wherever
        the classifier is all too sure.
        """
        scores = self._linear.decision_function(self._scaler.transform(features)).astype(np.float64)
        if scores.ndim == 1:  # of two classes there is one score, of the second
            scores = np.stack([-scores, scores], axis=1)
        return log_softmax(log_expit(scores), axis=1)

    def evaluate(self, images: Described, advance: Callable[[int], None]) -> dict[str, float]:
        """Mean cross-entropy, errors in percent, and the number of images that they are of.

        Top-5 is left out where there are few classes.
        """
        ranks, losses = [], []
        for rows in images.blocks(np.arange(len(images.labels)), BLOCK):
            found = self.log_probabilities(images.features[rows])
            labels = images.labels[rows][:, None]
            ordered = np.argsort(-found, axis=1, kind="stable")
            ranks.append((ordered == labels).argmax(axis=1))
            losses.append(-np.take_along_axis(found, labels, axis=1)[:, 0])
            advance(len(rows))
        rank, loss = np.concatenate(ranks), np.concatenate(losses)
        ks = [1] if self.classes < FEWEST_CLASSES_FOR_TOP5 else [1, 5]
        errors = {f"top{k}_error": 100 * float((rank >= k).mean()) for k in ks}
        return {"loss": float(loss.mean()), **errors, "samples": len(rank)}
