"""Loss, errors and learning rates of the LightningModule against numpy."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from alexnet.data.image import UNREADABLE
from alexnet.data.mixing import MixedLabels
from alexnet.data.sampling import GlobalBatchSampler
from alexnet.metrics.classification.topk_error import TopKError
from alexnet.metrics.registry import METRICS
from alexnet.metrics.split import SplitMetrics
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


@pytest.mark.parametrize("images", [3, 31, 200, 3925, 50_000, 1_281_167])
def test_errors_are_exact_percentages(images: int) -> None:
    """As far as float64 goes, whatever float32 makes of them; other values stay as they are."""
    metrics = SplitMetrics("val", 10)
    rng = np.random.default_rng(images)
    for wrong in {0, 1, images, *rng.integers(0, images + 1, 200).tolist()}:
        metrics.reset()
        counts = {"right": torch.tensor(images - wrong), "count": torch.tensor(images)}
        metrics.add(dict.fromkeys(("top1_error", "top5_error"), counts))
        computed = {f"val/{name}": metrics[name].compute().item() for name in ("top1_error", "top5_error")}
        computed |= {"val/samples": float(images), "val/loss": 0.1, "train/top1_error": 0.1}
        exact = 100 * wrong / images
        assert metrics.exact_percentages(computed) == {"val/top1_error": exact, "val/top5_error": exact}


def test_an_error_of_no_images_is_no_number() -> None:
    metrics = SplitMetrics("val", 10)
    assert metrics.exact_percentages({"val/top1_error": float("nan"), "val/samples": 0.0}) == {}
    assert metrics.exact_percentages({}) == {}


def test_unreadable_images_count_nowhere() -> None:
    rng = np.random.default_rng(1)
    logits, labels = rng.normal(size=(40, 8)), rng.integers(0, 8, 40)
    losses = rng.uniform(size=40)
    gone = rng.random(40) < 0.3
    marked = torch.from_numpy(np.where(gone, UNREADABLE, labels))
    metrics = SplitMetrics("val", 7)
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
    module = ClassificationModule(network, 7, config.optimizer, config.scheduler, config.loss, {})
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


class Median(Metric):
    """The median of the true class's logit: it keeps all of them, in a list."""

    logits: list[Tensor]

    def __init__(self) -> None:
        super().__init__()
        self.add_state("logits", [], dist_reduce_fx="cat")

    def update(self, logits: Tensor, labels: Tensor) -> None:
        assert (labels >= 0).all()
        self.logits.append(logits.gather(1, labels[:, None])[:, 0])

    def compute(self) -> Tensor:
        return dim_zero_cat(self.logits).median()


@pytest.fixture
def median(monkeypatch: pytest.MonkeyPatch) -> None:
    """Registers the metric for this test."""
    monkeypatch.setitem(METRICS._choices, "median", lambda classes: Median())
    monkeypatch.setitem(METRICS.splits, "median", ("train", "val"))


@pytest.mark.usefixtures("median")
def test_a_registered_metric_is_counted_restored_and_gets_readable_images_only() -> None:
    """In two halves, the first of which another process has counted: as at once."""
    rng = np.random.default_rng(3)
    logits, labels = rng.normal(size=(41, 8)), rng.integers(0, 8, 41)
    gone = rng.random(41) < 0.3
    marked = np.where(gone, UNREADABLE, labels)
    halves = [SplitMetrics("train", 8), SplitMetrics("train", 8)]
    for metrics, part in zip(halves, np.array_split(np.arange(41), 2), strict=True):
        metrics.count(torch.zeros(len(part)), torch.from_numpy(logits[part]), torch.from_numpy(marked[part]))
    halves[1].add(halves[0].states())
    computed = halves[1].compute()
    expected = torch.from_numpy(logits[~gone, labels[~gone]]).median()  # the lower of two in the middle
    assert computed["train/median"] == expected
    assert computed["train/samples"] == (~gone).sum()
    assert "train/top5_error" not in computed


def test_all_images_of_a_batch_unreadable(median: None) -> None:
    metrics = SplitMetrics("val", 8)
    metrics.count(torch.zeros(3), torch.zeros(3, 8), torch.full((3,), UNREADABLE))
    metrics.count(torch.ones(1), torch.eye(8)[:1], torch.tensor([0]))
    assert metrics.compute()["val/median"] == 1


def module_of(*overrides: str, classes: int = 7) -> ClassificationModule:
    """A module with a small network, as configured."""
    config = compose_config(*overrides)
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, classes)).double()
    return ClassificationModule(network, classes, config.optimizer, config.scheduler, config.loss, {})


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_loss_is_the_cross_entropy_with_smoothed_labels(smoothing: float) -> None:
    """Szegedy et al., CVPR 2016, equation 3; unreadable images have none."""
    rng = np.random.default_rng(4)
    logits, labels = rng.normal(size=(20, 7)), rng.integers(0, 7, 20)
    gone = rng.random(20) < 0.3
    logs = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    targets = np.full((20, 7), smoothing / 7)
    targets[np.arange(20), labels] += 1 - smoothing
    module = module_of(f"loss.label_smoothing={smoothing}")
    marked = torch.from_numpy(np.where(gone, UNREADABLE, labels))
    losses = module._losses(torch.from_numpy(logits), marked)
    np.testing.assert_allclose(losses, np.where(gone, 0, -(targets * logs).sum(1)), rtol=1e-10)
    assert module.chance_loss == pytest.approx(np.log(7), rel=1e-6)


@pytest.mark.parametrize(("schedule", "epochs"), [("constant", 5), ("cosine", 5), ("step", 10)])
def test_warm_up_multiplies_the_schedule(schedule: str, epochs: int) -> None:
    """Linear over a number of steps, with epochs of four; the last of them has the whole rate."""
    module = module_of(f"scheduler={schedule}", "scheduler.warmup_epochs=1.5", "optimizer.lr=0.1")
    trainer: Any = SimpleNamespace(
        max_epochs=epochs, estimated_stepping_batches=4 * epochs, check_val_every_n_epoch=1
    )
    module.trainer = trainer
    (optimizer,), stepped = module.configure_optimizers()
    by_epoch = [item["scheduler"] for item in stepped if "interval" not in item]
    (by_step,) = [item["scheduler"] for item in stepped if item.get("interval") == "step"]
    rates = []
    for _ in range(epochs):
        for _ in range(4):
            rates.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            by_step.step()
        for scheduler in by_epoch:
            scheduler.step()
    of_epoch = {
        "constant": lambda epoch: 1.0,
        "cosine": lambda epoch: (1 + np.cos(np.pi * epoch / epochs)) / 2,
        "step": lambda epoch: 0.1 ** sum(epoch >= round(drop * epochs) for drop in (0.247, 0.548, 0.839)),
    }[schedule]
    expected = [0.1 * of_epoch(step // 4) * min(1, (step + 1) / 6) for step in range(4 * epochs)]
    np.testing.assert_allclose(rates, expected, rtol=1e-10)


def test_without_warm_up_nothing_is_added() -> None:
    module = module_of("scheduler=constant", "scheduler.warmup_epochs=0")
    trainer: Any = SimpleNamespace(max_epochs=5)
    module.trainer = trainer
    assert module.configure_optimizers()[1] == []


class Linear(torch.nn.Module):
    """A network that takes the seeds of dropout, and has none."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(12, 7).double()

    def forward(self, images: Tensor, dropout_seeds: Tensor) -> Tensor:
        return self.layer(images.flatten(1))


def test_mixed_images_have_the_loss_of_shared_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    """PyTorch's cross-entropy with probabilities, smoothed; the error is by the label of the larger part."""
    module = module_of("loss.label_smoothing=0.1")
    module.network = Linear()
    monkeypatch.setattr(module, "log", lambda *arguments, **named: None)
    module.trainer = SimpleNamespace(  # type: ignore[assignment]
        lightning_module=SimpleNamespace(device_mesh=None), global_rank=0, world_size=1
    )
    generator = torch.Generator().manual_seed(5)
    images = torch.randn(300, 3, 2, 2, generator=generator, dtype=torch.float64)
    labels, partners = torch.randint(7, (2, 300), generator=generator)
    shares = torch.rand(300, generator=generator, dtype=torch.float64)
    labels[3], shares[3] = UNREADABLE, 1
    partners[4], shares[4] = UNREADABLE, 1
    loss = module.training_step((images, labels, torch.zeros(300), MixedLabels(partners, shares)), 0)
    logits = module.network(images, torch.zeros(300)).detach()
    kept = torch.arange(300) != 3
    own, theirs = (torch.nn.functional.one_hot(kind.clamp(min=0), 7).double() for kind in (labels, partners))
    targets = shares[:, None] * own + (1 - shares[:, None]) * theirs
    expected = torch.nn.functional.cross_entropy(
        logits[kept], targets[kept], label_smoothing=0.1, reduction="sum"
    )
    assert loss.item() == pytest.approx(float(expected) / 300, rel=1e-10)
    counted = module.train_metrics.compute()
    assert (counted["train/samples"], counted["train/unreadable"]) == (299, 1)
    assert counted["train/loss"] == pytest.approx(float(expected) / 299, rel=1e-5)
    wrong = plain_error(logits[kept].numpy(), targets[kept].argmax(1).numpy(), 1)
    assert counted["train/top1_error"] == pytest.approx(wrong, rel=1e-5)


def test_the_mean_over_the_global_batch_needs_no_exchange() -> None:
    """Of uneven shares: DDP averages the replicas' parts. Anything that is sent would raise here."""
    losses = np.random.default_rng(6).uniform(size=25)  # in batches of 8, 8 and 9, of two ranks
    module = module_of()
    parts = []
    for rank in (0, 1):
        batches = GlobalBatchSampler(25, 12, rank=rank, ranks=2)
        module.trainer = SimpleNamespace(  # type: ignore[assignment]
            lightning_module=SimpleNamespace(device_mesh=None),
            global_rank=rank,
            world_size=2,
            train_dataloader=SimpleNamespace(batches=batches),
            strategy=None,
        )
        shares = list(batches.of_epoch(0))
        parts.append(
            [losses[share].sum() * module._share_of_sum(len(share), n) for n, share in enumerate(shares)]
        )
    means = [losses[batch].mean() for batch in GlobalBatchSampler(25, 12).of_epoch(0)]
    np.testing.assert_allclose(np.mean(parts, 0), means, rtol=1e-12)
