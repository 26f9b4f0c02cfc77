"""The random streams of an epoch, and the order and batches in which it visits its samples.

All randomness of the data is a function of (seed, epoch, sample) alone: neither workers nor ranks nor a
restart changes the order of an epoch or the augmentation of a sample.
"""

import hashlib
from collections.abc import Iterator
from enum import IntEnum
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray


class RandomStream(IntEnum):
    """The independent random streams of an epoch.

    Each augmentation draws from its own stream: switching one off, or adding one, does not change the draws
    of the others. A number never changes its meaning, or earlier runs could not be reproduced. Registered
    augmentations have a `named_stream`.
    """

    order = 0
    crop = 1
    flip = 2
    color = 3
    dropout = 4


def named_stream(name: str) -> int:
    """Return the number of the stream of an augmentation that is registered under `name`."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")  # beyond those of RandomStream


def epoch_generator(seed: int, epoch: int, stream: int) -> np.random.Generator:
    """Return a generator at the beginning of one stream of an epoch.

    Draw for all samples of the epoch at once, one row per sample of the data set: a sample's draws then do
    not depend on the order or the batches.
    """
    return np.random.default_rng([seed, epoch, stream])


def epoch_order(seed: int, epoch: int, samples: int) -> NDArray[np.int64]:
    """Return the order in which an epoch visits its samples."""
    return epoch_generator(seed, epoch, RandomStream.order).permutation(samples)


class GlobalBatchSampler:
    """This rank's share of each global batch.

    Every sample is visited exactly once per epoch, over all ranks together, and every rank takes the same
    number of steps. If `batch_size` does not divide the number of samples, all batches are a little smaller,
    and their sizes differ by at most one: a small last batch would give each of its samples more weight, and
    might not reach every rank.

    With `successors`, one more sample ends each share: that which follows its last one in the global batch,
    whose last is followed by its first.
    """

    def __init__(
        self,
        samples: int,
        batch_size: int,
        *,
        rank: int = 0,
        ranks: int = 1,
        seed: int = 0,
        successors: bool = False,
    ) -> None:
        self.samples, self.batch_size = samples, batch_size
        self.rank, self.ranks, self.seed = rank, ranks, seed
        self.successors = successors
        count = max(1, min(-(-samples // batch_size), samples // ranks))
        self.bounds = [samples * number // count for number in range(count + 1)]

    def __len__(self) -> int:
        return len(self.bounds) - 1

    def size(self, number: int) -> int:
        """Return the number of samples of batch `number` of an epoch, over all ranks."""
        return self.bounds[number + 1] - self.bounds[number]

    @property
    def largest(self) -> int:
        """Largest number of samples of this rank in a batch."""
        return -(-int(np.diff(self.bounds).max()) // self.ranks) + self.successors

    def of_epoch(self, epoch: int, first: int = 0) -> Iterator[NDArray[np.int64]]:
        """Yield the samples of each batch of an epoch, from batch number `first` on."""
        order = epoch_order(self.seed, epoch, self.samples)
        for start, end in pairwise(self.bounds[first:]):
            shares = np.array_split(order[start:end], self.ranks)
            share = shares[self.rank]
            if self.successors:
                share = np.append(share, shares[(self.rank + 1) % self.ranks][:1])
            yield share


def evenly_spaced(total: int, count: int | None) -> NDArray[np.int64]:
    """Return `count` of the numbers from 0 to total - 1, as far apart as possible; all of them if None."""
    if count is None or count >= total:
        return np.arange(total)
    return (np.arange(count) * total + total // 2) // count
