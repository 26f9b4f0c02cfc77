"""Loss and errors of the LightningModule against numpy."""

import numpy as np
import pytest
import torch

from alexnet.data.image import UNREADABLE
from alexnet.metrics import SplitMetrics, TopKError
from alexnet.models.base import mean_over_crops
from alexnet.training.module import ClassificationModule
from conftest import compose_config


def plain_error(logits: np.ndarray, labels: np.ndarray, k: int) -> float:
    """Percentage of images whose label is not among the k largest logits."""
    wrong = [label not in np.argsort(-row)[:k] for row, label in zip(logits, labels, strict=True)]
    return 100 * float(np.mean(wrong))


@pytest.mark.parametrize("k", [1, 5])
def test_topk_error(k: int) -> None:
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(300, 12)), rng.integers(0, 12, 300)
    metric = TopKError(k)
    for part in np.array_split(np.arange(300), 7):
        metric.update(torch.from_numpy(logits[part]), torch.from_numpy(labels[part]))
    assert metric.compute().item() == pytest.approx(plain_error(logits, labels, k), abs=1e-4)


def test_unreadable_images_count_nowhere() -> None:
    rng = np.random.default_rng(1)
    logits, labels = rng.normal(size=(40, 8)), rng.integers(0, 8, 40)
    losses = rng.uniform(size=40)
    gone = rng.random(40) < 0.3
    marked = torch.from_numpy(np.where(gone, UNREADABLE, labels))
    metrics = SplitMetrics("val", {1, 5})
    metrics.count(torch.from_numpy(np.where(gone, 0, losses)), torch.from_numpy(logits), marked)
    computed = {key: value.item() for key, value in metrics.compute().items()}
    assert computed == {
        "val/loss": pytest.approx(losses[~gone].mean()),
        "val/samples": (~gone).sum(),
        "val/unreadable": gone.sum(),
        "val/top1_error": pytest.approx(plain_error(logits[~gone], labels[~gone], 1), abs=1e-4),
        "val/top5_error": pytest.approx(plain_error(logits[~gone], labels[~gone], 5), abs=1e-4),
    }


def test_ten_crops_average_probabilities() -> None:
    """Not logits: the paper's ten-crop reading (§4.1)."""
    rng = np.random.default_rng(2)
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, 7)).double()
    config = compose_config()
    module = ClassificationModule(network, 7, config.optimizer, config.scheduler, {})
    crops = torch.from_numpy(rng.normal(size=(5, 10, 3, 2, 2)))
    logits = torch.stack([network(crops[:, k]) for k in range(10)], 1).detach().numpy()
    probabilities = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    with torch.no_grad():
        actual = module._mean_over_crops(crops).exp().numpy()
    np.testing.assert_allclose(actual, probabilities.mean(1), rtol=1e-5)


@pytest.mark.parametrize("classes", [7, 10, 1000])
def test_ten_crops_of_an_image_are_averaged_the_same_in_any_batch(classes: int) -> None:
    """Bit for bit in the order of the crops: torch's mean adds in one that depends on the batch."""
    each = torch.randn(10, 50, classes, generator=torch.Generator().manual_seed(0)).softmax(2)
    expected = np.zeros((50, classes), np.float32)
    for crop in each.numpy():
        expected += crop
    expected /= np.float32(10)
    for size in (1, 2, 3, 7, 50):
        actual = torch.cat([mean_over_crops(part.unbind(0)) for part in each.split(size, 1)])
        np.testing.assert_array_equal(actual.numpy(), expected)
