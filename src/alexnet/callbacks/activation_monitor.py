"""Statistics of each layer during training, over the same images after every epoch."""

import logging
from dataclasses import asdict
from functools import cached_property
from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer
from torch import Tensor

from alexnet.data.datamodule import ImageDataModule
from alexnet.data.loader import read_batches
from alexnet.data.sampling import epoch_order
from alexnet.models.layer_stats import MEASURES, measure_layers
from alexnet.runs.figures import LiveFigure, draw_layers
from alexnet.runs.folder import RunFolder

log = logging.getLogger(__name__)

AT_A_TIME = 16  # images: little memory, and maps too small for LRN to be compiled for them


class ActivationMonitor(Callback):
    """Measure each layer's activations, gradients and weights on `images` images; None turns this off.

    Writes `MEASURES` to layers.csv and layers.png, and logs them as `layers/<layer>/<measure>`. The images
    are the first of the shuffled validation set, cropped as in validation. They pass through the network in
    evaluation mode and in the precision of its weights. Training stays bit-identical: no random number
    is drawn, no gradient is left behind. Only the first rank, which has a `folder`, measures; no rank does
    where the strategy divides the network among devices.
    """

    def __init__(
        self, folder: RunFolder | None, datamodule: ImageDataModule, images: int | None, title: str
    ) -> None:
        self.folder, self.datamodule, self.images, self.title = folder, datamodule, images, title
        self.rows: list[dict[str, Any]] = []
        self.figure = LiveFigure(self._draw)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.folder is None or self.images is None:
            return
        if pl_module.device_mesh is not None:
            log.info("Layers    not measured: this strategy splits the network across devices.")
        elif trainer.global_step == 0 and not self.rows:
            self._measure(trainer, pl_module, epoch=0)
        else:
            self._write()  # without the epochs after the checkpoint, which are repeated

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        # between two epochs: ThroughputMonitor counts it neither as training nor as waiting for data
        if self.folder is not None and self.images is not None and pl_module.device_mesh is None:
            self._measure(trainer, pl_module, epoch=trainer.current_epoch + 1)

    def state_dict(self) -> dict[str, Any]:
        return {"rows": [dict(row) for row in self.rows]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.rows = state_dict["rows"]

    @cached_property
    def _batches(self) -> list[tuple[Tensor, Tensor]]:
        """Readable images, uint8 (N, 3, S, S), and their labels; kept in case the files disappear."""
        data = self.datamodule.data.val
        first = epoch_order(0, 0, len(data))[: self.images]
        read = read_batches(data, first, self.datamodule.config.resize_size, AT_A_TIME)
        return [(images, labels) for _, images, labels in read if len(labels)]

    def _measure(self, trainer: Trainer, pl_module: LightningModule, epoch: int) -> None:
        network: Any = pl_module.network
        weight = next(network.parameters())
        crops = self.datamodule.augmentation
        batches = (
            (crops.center(images.to(weight.device), weight.dtype), labels.to(weight.device))
            for images, labels in self._batches
        )
        with torch.autocast(weight.device.type, enabled=False):
            layers = measure_layers(network, batches, gradients=True)
        self.rows += [{"epoch": epoch} | asdict(layer) for layer in layers]
        self._write()
        values = {
            f"layers/{layer.layer}/{measure}": value
            for layer in layers
            for measure in MEASURES
            if (value := getattr(layer, measure)) is not None
        }
        for logger in trainer.loggers:
            logger.log_metrics(values, step=trainer.global_step)

    def _write(self) -> None:
        assert self.folder is not None
        self.folder.write_layers(self.rows)
        if self.rows:
            self.figure.update()

    def _draw(self) -> None:
        assert self.folder is not None
        draw_layers(self.rows, self.title, self.folder.figures / "layers.png")
