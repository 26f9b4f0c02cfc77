"""What networks say of all images of a split."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from alexnet.choices import ValCrops
from alexnet.data.dataset import UNREADABLE, ValData
from alexnet.data.loader import BatchLoader
from alexnet.data.order import GlobalBatches
from alexnet.errors import UserError, lacks_memory
from alexnet.prediction.probabilities import probabilities_by_crops
from alexnet.run.trained import Trained

Probabilities = dict[ValCrops, NDArray[np.float32]]  # of each class, (images, classes)


def measure(
    networks: Sequence[Trained],
    data: ValData,
    crops: Sequence[ValCrops],
    *,
    batch_size: int,
    workers: int,
    device: torch.device,
    advance: Callable[[int], None],
) -> tuple[list[Probabilities], NDArray[np.bool_]]:
    """Of each network the probabilities of every image's classes, in float32; and which images are readable.

    The networks have the same `stored_size`: an image is read once for all of them. `advance` is told of
    how many images each batch was. Rows of unreadable images are zeros. Raises `UserError` where there is
    too little memory, and where a network's output is no number.
    """
    shape = (len(data.images), len(data.classes))
    found: list[Probabilities] = [{kind: np.zeros(shape, np.float32) for kind in crops} for _ in networks]
    readable = np.zeros(shape[0], np.bool_)
    batches = BatchLoader(
        data.images,
        GlobalBatches(shape[0], batch_size),
        size=networks[0].stored_size,
        workers=workers,
        position=lambda: (0, 0),
        device=device,
    )
    try:
        with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):  # float32 in all its bits
            for batch in batches:
                there = batch.labels.numpy() != UNREADABLE
                rows = batch.indices[there]
                readable[rows] = True
                for network, of_network in zip(networks, found, strict=True):
                    for kind, values in probabilities_by_crops(network, batch.squares, crops, device).items():
                        of_network[kind][rows] = _numbers(values.numpy()[there], network)
                advance(len(there))
    except (RuntimeError, MemoryError) as error:
        if not lacks_memory(error):
            raise
        raise UserError(f"Out of memory with batch_size={batch_size}. Give a smaller one.") from error
    return found, readable


def _numbers(values: NDArray[np.float32], network: Trained) -> NDArray[np.float32]:
    if not np.isfinite(values).all():
        raise UserError(f"{network.checkpoint}: this network's outputs are no finite numbers.")
    return values
