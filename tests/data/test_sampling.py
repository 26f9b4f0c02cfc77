"""Orders and random streams depend on (seed, epoch, sample) alone."""

import numpy as np
import pytest

from alexnet.data.augmentation import epoch_augmentation_params
from alexnet.data.sampling import GlobalBatchSampler, epoch_order


def batches(samples: int, size: int, ranks: int, seed: int = 0) -> list[list[list[int]]]:
    """For each rank, its share of each batch."""
    return [
        [b.tolist() for b in GlobalBatchSampler(samples, size, rank=rank, ranks=ranks, seed=seed).of_epoch(0)]
        for rank in range(ranks)
    ]


@pytest.mark.parametrize("ranks", [1, 2, 3, 4])
@pytest.mark.parametrize("samples", [1, 7, 24, 25, 97])
def test_each_sample_once_and_the_same_batches_on_any_ranks(samples: int, ranks: int) -> None:
    shares = batches(samples, 12, ranks)
    alone = batches(samples, 12, 1)[0]
    assert len({len(share) for share in shares}) == 1
    assert sorted(i for share in shares for batch in share for i in batch) == list(range(samples))
    together = [sorted(i for batch in step for i in batch) for step in zip(*shares, strict=True)]
    assert together == [sorted(batch) for batch in alone]
    if samples >= ranks:
        assert all(batch for share in shares for batch in share)
    sizes = [len(batch) for batch in alone]
    assert max(sizes) <= 12
    assert max(sizes) - min(sizes) <= 1


def test_length() -> None:
    assert len(GlobalBatchSampler(25, 12)) == 3
    assert len(GlobalBatchSampler(24, 12)) == 2
    assert len(GlobalBatchSampler(13, 12, ranks=7)) == 1  # of two batches one would not reach every rank


def test_epochs_and_seeds_differ() -> None:
    orders = {tuple(epoch_order(seed, epoch, 50)) for seed in (0, 1) for epoch in (0, 1)}
    assert len(orders) == 4
    assert epoch_order(3, 7, 50).tolist() == epoch_order(3, 7, 50).tolist()


def test_augmentation_params() -> None:
    params = epoch_augmentation_params(0, 0, 20_000, 1)
    assert params.corners.min() >= 0
    assert params.corners.max() < 1
    assert abs(params.flips.mean() - 0.5) < 0.02
    assert np.abs(params.colors.mean(0)).max() < 0.03
    assert np.abs(params.colors.std(0) - 1).max() < 0.03
    other = epoch_augmentation_params(0, 1, 20_000, 1)
    assert not np.array_equal(params.corners, other.corners)


def test_groups_share_crop_and_flip_but_not_colour() -> None:
    order = epoch_order(5, 2, 100)
    corners, flips, colors, dropout_seeds, _ = epoch_augmentation_params(5, 2, 100, 32)
    for start in range(0, 100, 32):
        group = order[start : start + 32]
        assert len(np.unique(corners[group], axis=0)) == 1
        assert len(np.unique(flips[group])) == 1
        assert len(np.unique(colors[group], axis=0)) == len(np.unique(dropout_seeds[group])) == len(group)
    assert len(np.unique(corners, axis=0)) == 4
