"""The training images whose features are nearest to those of validation images (paper §6.1, Figure 4)."""

from collections.abc import Iterable
from contextlib import ExitStack
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from alexnet.data.sampling import epoch_order, evenly_spaced
from alexnet.models.layer_stats import evaluation_mode, learned_layers


def feature_vectors(network: nn.Module, images: Tensor) -> Tensor:
    """The input of the layer that runs last, in evaluation mode: (N, features) for images (N, 3, H, W).

    Maps, where that layer is a convolution, are averaged over their places.
    """
    seen: list[Tensor] = []

    def about_to_run(layer: nn.Module, arguments: tuple[Any, ...]) -> None:
        seen[:] = [arguments[0]]

    with ExitStack() as hooks, evaluation_mode(network), torch.no_grad():
        for layer in learned_layers(network).values():
            hooks.callback(layer.register_forward_pre_hook(about_to_run).remove)
        network.forward(images)
    (last,) = seen
    return last.mean((2, 3)) if last.ndim == 4 else last.flatten(1)


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
        chosen += row[evenly_spaced(len(row), count - len(chosen))].tolist()
        by_class, turn = by_class[turn != turn.min()], turn[turn != turn.min()]
    return np.array(sorted(chosen, key=lambda index: (labels[index], index)), np.int64)


def nearest_neighbours(
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
