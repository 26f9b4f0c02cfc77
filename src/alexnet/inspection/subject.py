"""What is looked into: a trained network, and the images that it was trained and validated on."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from alexnet.data.dataset import ImageData, Images, load_image_data
from alexnet.errors import UserError
from alexnet.inspection.reading import read_batches
from alexnet.paths import absolute
from alexnet.progress import progress_bar
from alexnet.run.resume import read_config
from alexnet.run.trained import Trained, load_trained, own_data


@dataclass(frozen=True)
class Subject:
    """`config` is the run's whole configuration as plain data; `run` its folder, None for a checkpoint."""

    trained: Trained
    data: ImageData
    config: dict[str, Any]
    run: Path | None

    def crops(
        self, images: Images, indices: NDArray[np.int64], batch_size: int, device: torch.device, task: str
    ) -> Iterator[tuple[NDArray[np.int64], Tensor, Tensor]]:
        """Indices (N,), what validation sees of these images on the device, and labels there, in batches.

        Those that cannot be read are left out; a progress bar says what the `task` is.
        """
        with progress_bar(task, len(indices)) as advance:
            for which, squares, labels in read_batches(images, indices, self.trained.stored_size, batch_size):
                if len(which):
                    yield which, self.trained.crops.center(squares.to(device)), labels.to(device)
                advance(len(which))


def load_subject(run: str | None, checkpoint: str | None, data_root: str | None) -> Subject:
    """The network of a run's folder or of a checkpoint, with the run's images.

    These are looked for where they were, or in `data_root`. Raises `UserError` for what is not there, and
    for images of other classes than the network knows.
    """
    trained = load_trained(run, checkpoint)
    folder = None if run is None else absolute(run)
    if folder is None:
        config, source = trained.config, trained.checkpoint
    else:
        config, source = read_config(folder), folder / "config.yaml"
    images = own_data(config, source, data_root)
    try:
        data = load_image_data(images)
    except UserError as error:
        advice = "" if data_root is not None else " Where the run's images are now: data_root=<folder>."
        raise UserError(f"{error}{advice}") from error
    if data.classes != trained.classes:
        raise UserError(
            f"The images are not the run's: {data.origin} has {len(data.classes)} classes,"
            f" {data.classes[0]} to {data.classes[-1]}, and the network knows {len(trained.classes)},"
            f" {trained.classes[0]} to {trained.classes[-1]}. Give them: data_root=<folder>."
        )
    return Subject(trained, data, config, folder)
