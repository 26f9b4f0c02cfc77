"""Nearest neighbours of validation images among training images, by features (paper §6.1, Figure 4)."""

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
    """Return the input of the layer that runs last, in evaluation mode.

    It is (N, features) for images (N, 3, H, W). Where that layer is a convolution, its input maps are
    averaged over positions.
    """
    last_input: list[Tensor] = []

    def keep_input(layer: nn.Module, arguments: tuple[Any, ...]) -> None:
        last_input[:] = [arguments[0]]

    with ExitStack() as hooks, evaluation_mode(network), torch.no_grad():
        for layer in learned_layers(network).values():
            hooks.callback(layer.register_forward_pre_hook(keep_input).remove)
        network.forward(images)
    (features,) = last_input
    return features.mean((2, 3)) if features.ndim == 4 else features.flatten(1)


def choose_queries(labels: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Choose `count` images of as many classes as possible, always the same ones; return indices, by class.

    The first image of each class is chosen, then the second of each, and so on; where these are too many, of
    evenly spaced classes. The order of the images of a class is that of a fixed permutation.
    """
    order = epoch_order(0, 0, len(labels))
    by_class = order[np.argsort(labels[order], kind="stable")]
    _, starts, sizes = np.unique(labels[by_class], return_index=True, return_counts=True)
    rank = np.arange(len(labels)) - np.repeat(starts, sizes)  # within its class
    chosen: list[int] = []
    while len(chosen) < min(count, len(labels)):
        candidates = by_class[rank == rank.min()]
        chosen += candidates[evenly_spaced(len(candidates), count - len(chosen))].tolist()
        by_class, rank = by_class[rank != rank.min()], rank[rank != rank.min()]
    return np.array(sorted(chosen, key=lambda index: (labels[index], index)), np.int64)


def nearest_neighbours(
    queries: Tensor, batches: Iterable[tuple[NDArray[np.int64], Tensor]], count: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return indices and distances, (Q, count), of the vectors nearest to each query (Q, D), nearest first.

    `batches` yields indices (N,) and vectors (N, D). The distance is Euclidean, computed from differences:
    the expansion into products loses the precision that tells near vectors apart. Ties are in the order of
    the vectors. With fewer vectors than `count` there are as many columns as vectors.
    """
    nearest = np.empty((len(queries), 0), np.int64)
    distances = np.empty((len(queries), 0))
    for indices, vectors in batches:
        to_batch = torch.cdist(queries, vectors, compute_mode="donot_use_mm_for_euclid_dist").cpu().numpy()
        distances = np.concatenate([distances, to_batch], 1)
        nearest = np.concatenate([nearest, np.broadcast_to(indices, to_batch.shape)], 1)
        order = np.argsort(distances, 1, kind="stable")[:, :count]
        distances = np.take_along_axis(distances, order, 1)
        nearest = np.take_along_axis(nearest, order, 1)
    return nearest, distances
