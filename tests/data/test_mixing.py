"""Mixup and CutMix against torchvision's, with the same weights; partners that no number of ranks changes."""

from pathlib import Path

import numpy as np
import pytest
import torch
from test_datamodule import epoch_batches, module
from torchvision.transforms import v2

from alexnet.data.augmentation_params import AugmentationParams
from alexnet.data.augmentations.cutmix import CutMixConfig
from alexnet.data.augmentations.mixup import MixupConfig
from alexnet.data.image import UNREADABLE
from alexnet.data.mixing import MixedLabels, Mixing
from test_config import mistake

BOTH = ("data.augment.mixup.alpha=0.4", "data.augment.cutmix.alpha=1")
SIDE, CLASSES = 31, 5
RNG = np.random.default_rng(0)
PAIRS = torch.from_numpy(RNG.normal(size=(40, 2, 3, SIDE, SIDE)))
LABELS = torch.from_numpy(RNG.integers(0, CLASSES, (40, 2)))


def soft(labels: torch.Tensor, shares: torch.Tensor, partners: torch.Tensor) -> torch.Tensor:
    """Return labels as probabilities (N, classes)."""
    own, theirs = (torch.nn.functional.one_hot(kind, CLASSES) for kind in (labels, partners))
    return shares[:, None] * own + (1 - shares[:, None]) * theirs


def by_torchvision(
    transform: v2.Transform, parameters: list[dict[str, object]]
) -> list[tuple[torch.Tensor, ...]]:
    """Mix each pair with the next: in a batch of two torchvision's partner is ours, too."""
    mixed = []
    for images, labels, given in zip(PAIRS, LABELS, parameters, strict=True):
        given = given | {"labels": labels, "batch_size": 2}
        mixed.append((transform.transform(images, given)[0], transform.transform(labels, given)[0]))
    return mixed


def test_mixup_is_torchvisions() -> None:
    drawn = MixupConfig(0.4).draw(np.random.default_rng(1), 40)
    assert 0 < drawn.min() < 0.1 and 0.9 < drawn.max() < 1
    mixed, shares = MixupConfig(0.4).mix(PAIRS[:, 0], PAIRS[:, 1], torch.from_numpy(drawn))
    targets = soft(LABELS[:, 0], shares, LABELS[:, 1])
    expected = by_torchvision(v2.MixUp(num_classes=CLASSES), [{"lam": float(weight)} for weight in drawn])
    for ours, our_target, (theirs, their_target) in zip(mixed, targets, expected, strict=True):
        torch.testing.assert_close(ours, theirs)
        torch.testing.assert_close(our_target, their_target, check_dtype=False)


def test_cutmix_is_torchvisions() -> None:
    """With rectangles by torchvision's own arithmetic, from the same numbers."""
    drawn = CutMixConfig(1.0).draw(np.random.default_rng(1), 40)
    mixed, shares = CutMixConfig(1.0).mix(PAIRS[:, 0], PAIRS[:, 1], torch.from_numpy(drawn))
    targets = soft(LABELS[:, 0], shares, LABELS[:, 1])
    parameters: list[dict[str, object]] = []
    for half, row, column in drawn.tolist():
        r, y, x = int(half * SIDE), int(row * SIDE), int(column * SIDE)
        left, top, right, bottom = max(x - r, 0), max(y - r, 0), min(x + r, SIDE), min(y + r, SIDE)
        share = 1 - (right - left) * (bottom - top) / SIDE**2
        parameters.append({"box": (left, top, right, bottom), "lam_adjusted": share})
    assert any(box["box"][0] == 0 for box in parameters)  # type: ignore[index]
    expected = by_torchvision(v2.CutMix(num_classes=CLASSES), parameters)
    for ours, our_target, (theirs, their_target) in zip(mixed, targets, expected, strict=True):
        assert torch.equal(ours, theirs)
        torch.testing.assert_close(our_target, their_target, check_dtype=False)


def test_the_area_that_stays_is_the_beta_draw() -> None:
    """Equation 1 of the paper, where nothing is cut off: half the side is sqrt(1 - lambda) / 2."""
    drawn = CutMixConfig(1.0).draw(np.random.default_rng(2), 20_000)
    stays = 1 - (2 * drawn[:, 0]) ** 2
    assert np.histogram(stays, 4, (0, 1))[0] == pytest.approx(5000, rel=0.05)  # alpha = 1: uniform


@pytest.mark.parametrize("kind", [MixupConfig, CutMixConfig])
def test_a_fraction_is_mixed(kind: type[MixupConfig] | type[CutMixConfig]) -> None:
    config = kind(1.0, p=0.25)
    images = torch.zeros(4000, 1, 8, 8)
    _, shares = config.mix(images, images, torch.from_numpy(config.draw(np.random.default_rng(0), 4000)))
    assert 0.7 < (shares == 1).float().mean() < 0.85  # also rectangles of no pixel


def mixed_labels(batches: list[tuple[object, ...]]) -> list[MixedLabels]:
    return [batch[3] for batch in batches]  # type: ignore[misc]


def test_the_same_on_any_number_of_ranks(image_tree: Path) -> None:
    """Bit for bit the images, labels, partners and shares of the global batch, in epochs that differ."""
    alone = epoch_batches(module(image_tree, epoch=1, overrides=BOTH))
    for ranks in (2, 3):
        shares = [
            epoch_batches(module(image_tree, epoch=1, rank=rank, ranks=ranks, overrides=BOTH))
            for rank in range(ranks)
        ]
        for whole, parts in zip(alone, zip(*shares, strict=True), strict=True):
            for ours, theirs in zip(whole[:3], zip(*(part[:3] for part in parts), strict=True), strict=True):
                assert torch.equal(ours, torch.cat(theirs))
            for ours, theirs in zip(whole[3], zip(*mixed_labels(list(parts)), strict=True), strict=True):
                assert torch.equal(ours, torch.cat(theirs))
    other = epoch_batches(module(image_tree, epoch=2, overrides=BOTH))
    assert not torch.equal(alone[0][3].shares, other[0][3].shares)  # type: ignore[attr-defined]


def test_each_is_mixed_with_the_next(image_tree: Path) -> None:
    """Of the images as they are without mixing; the last with the first; each in one of the two ways."""
    plain = epoch_batches(module(image_tree, epoch=1))
    mixed = epoch_batches(module(image_tree, epoch=1, overrides=BOTH))
    ways = set()
    for (images, labels, seeds), (result, same_labels, same_seeds, extra) in zip(plain, mixed, strict=True):
        assert torch.equal(labels, same_labels) and torch.equal(seeds, same_seeds)
        partners = images.roll(-1, 0)
        assert torch.equal(extra.partners, labels.roll(-1, 0))  # type: ignore[attr-defined]
        for own, other, got, share in zip(images, partners, result, extra.shares, strict=True):  # type: ignore[attr-defined]
            if torch.allclose(got, share * own + (1 - share) * other, atol=1e-4):
                ways.add("mixup")
            else:
                assert ((got == own) | (got == other)).all()
                assert (got == own).all(0).float().mean() == pytest.approx(float(share), abs=0.01)
                ways.add("cutmix")
    assert ways == {"mixup", "cutmix"}


def test_in_half_precision_it_is_the_exact_result_rounded(image_tree: Path) -> None:
    exact, half = (
        epoch_batches(module(image_tree, overrides=BOTH, precision=precision))
        for precision in ("32-true", "bf16-mixed")
    )
    for (images, *_), (rounded, *_) in zip(exact, half, strict=True):
        assert torch.equal(images.bfloat16(), rounded)


def test_unreadable_images_take_no_part() -> None:
    labels = torch.tensor([1, UNREADABLE, 2, 3, 1])
    inputs = torch.arange(5.0)[:, None, None, None].expand(5, 3, 2, 2)
    draws = np.full(5, 0.75, np.float32)
    params = AugmentationParams(*(np.zeros(5),) * 4, {"mixup": draws})  # type: ignore[arg-type]
    mixed, (partners, shares) = Mixing({"mixup": MixupConfig(1.0)})(inputs, labels, params)
    assert shares.tolist() == [1, 1, 0.75, 0.75]
    assert mixed[:, 0, 0, 0].tolist() == [0, 1, 2.25, 3.25]
    assert partners.tolist() == [UNREADABLE, 2, 3, 1]


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("mixup.alpha=-1", "data.augment.mixup.alpha=-1.0: expected 0, which is off, or more"),
        ("cutmix.p=2", "data.augment.cutmix.p=2.0: expected a fraction of the images"),
    ],
)
def test_mistakes(typed: str, told: str) -> None:
    assert told in mistake(f"data.augment.{typed}")
