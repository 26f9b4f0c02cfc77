"""The training images whose features are nearest to those of some others (paper §6.1, Figure 4)."""

from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from alexnet.data.order import epoch_order


def choose_queries(labels: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """`count` images of as many classes as there can be, always the same ones, by class.

    An image of each class, then a second of each, and so on; where that is too many, of classes that lie
    evenly among the others. Which images of a class: those that come first in validation's mixed order.
    """
    mixed = epoch_order(0, 0, len(labels))
    by_class = mixed[np.argsort(labels[mixed], kind="stable")]
    _, starts, sizes = np.unique(labels[by_class], return_index=True, return_counts=True)
    turn = np.arange(len(labels)) - np.repeat(starts, sizes)  # first of its class, second, ...
    chosen: list[int] = []
    while len(chosen) < min(count, len(labels)):
        row = by_class[turn == turn.min()]
        chosen += row[evenly(len(row), count - len(chosen))].tolist()
        by_class, turn = by_class[turn != turn.min()], turn[turn != turn.min()]
    return np.array(sorted(chosen, key=lambda index: (labels[index], index)), np.int64)


def evenly(total: int, count: int | None) -> NDArray[np.int64]:
    """`count` of the numbers from 0 to total - 1, or all of them, as far apart as can be."""
    if count is None or count >= total:
        return np.arange(total)
    return (np.arange(count) * total + total // 2) // count


def nearest(
    queries: Tensor, batches: Iterable[tuple[NDArray[np.int64], Tensor]], count: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The `count` nearest of many vectors to each query (Q, D), the nearest first: numbers and distances.

    `batches` are numbers (N,) and vectors (N, D), in any number. The distance is Euclidean, worked out from
    the differences: by way of products it would lose what tells near ones apart. Of two at the same
    distance the one that came first is the nearer. Fewer vectors than `count` give as many columns.
    """
    numbers = np.empty((len(queries), 0), np.int64)
    distances = np.empty((len(queries), 0))
    for which, vectors in batches:
        found = torch.cdist(queries, vectors, compute_mode="donot_use_mm_for_euclid_dist").cpu().numpy()
        distances = np.concatenate([distances, found], 1)
        numbers = np.concatenate([numbers, np.broadcast_to(which, found.shape)], 1)
        order = np.argsort(distances, 1, kind="stable")[:, :count]
        distances = np.take_along_axis(distances, order, 1)
        numbers = np.take_along_axis(numbers, order, 1)
    return numbers, distances
