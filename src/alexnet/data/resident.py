"""A split of images, held on the device that trains."""

import os

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from alexnet.data.dataset import ImageDataset
from alexnet.data.loader import Batch, move_to_device
from alexnet.data.prefetch import prefetch_map
from alexnet.errors import UserError
from alexnet.hardware import free_memory
from alexnet.terminal import progress_bar

CHUNK = 64  # images that a thread reads at a time


def check_fits(images: int, size: int, device: torch.device) -> None:
    """Raise `UserError` if so many images (3, size, size) need more memory than the device has free."""
    required, free = float(images * 3 * size * size), free_memory(device)
    if free is not None and required > free:
        raise UserError(
            f"data.resident=true: {images:,} images of {size} pixels need {required / 1e9:.1f} GB of the"
            f" device's memory, and {free / 1e9:.1f} GB are free. Leave it out, or use smaller images"
            " (data.resize_size)."
        )


class ResidentImages:
    """The images of a data set on a device, uint8 (images, 3, size, size), read once.

    A batch is gathered there: nothing is read, copied or waited for in an epoch.
    """

    def __init__(self, images: ImageDataset, size: int, device: torch.device, description: str) -> None:
        self.device = device
        self.pixels = torch.empty((len(images), 3, size, size), dtype=torch.uint8, device=device)
        self.labels = np.empty(len(images), np.int64)

        def read(rows: NDArray[np.int64]) -> tuple[slice, Tensor]:
            part = np.empty((len(rows), 3, size, size), np.uint8)
            place = slice(int(rows[0]), int(rows[-1]) + 1)
            images.read_rows(rows, part, self.labels[place])
            return place, torch.from_numpy(part)

        chunks = [np.arange(start, min(start + CHUNK, len(images))) for start in range(0, len(images), CHUNK)]
        workers = os.cpu_count() or 1
        with progress_bar(description, len(images)) as advance:
            for place, part in prefetch_map(read, chunks, workers, 2 * workers):
                self.pixels[place] = part.to(device)
                advance(len(part))

    def batch(self, indices: NDArray[np.int64]) -> Batch:
        """Return the batch of these images, (N, 3, size, size), and their labels, on the CPU."""
        images = self.pixels.index_select(0, move_to_device(torch.from_numpy(indices), self.device))
        return Batch(images, torch.from_numpy(self.labels[indices]), indices)
