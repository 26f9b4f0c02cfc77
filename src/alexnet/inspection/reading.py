"""Some images of a split, in batches."""

import os
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from alexnet.data.dataset import UNREADABLE, Images
from alexnet.data.threads import map_ahead


def read_batches(
    images: Images, indices: NDArray[np.int64], size: int, batch_size: int
) -> Iterator[tuple[NDArray[np.int64], Tensor, Tensor]]:
    """Indices (N,), squares (N, 3, size, size) uint8 and labels (N,) of the images that can be read.

    `images.unreadable` says of the others why.
    """

    def read(index: np.int64) -> tuple[NDArray[np.uint8], int]:
        square = np.empty((3, size, size), np.uint8)
        return square, images.read(int(index), square)

    parts = np.split(indices, range(batch_size, len(indices), batch_size))
    read_ahead = map_ahead(read, indices, os.cpu_count() or 1, 2 * batch_size)
    for part in parts:
        squares, labels = zip(*(next(read_ahead) for _ in part), strict=True)
        there = np.array(labels) != UNREADABLE
        chosen = torch.from_numpy(np.stack(squares)[there])
        yield part[there], chosen, torch.tensor(labels)[torch.from_numpy(there)]
