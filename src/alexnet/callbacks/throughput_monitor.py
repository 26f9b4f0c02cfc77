"""Measurement of how fast a run is, and how long it waits for images."""

from time import perf_counter
from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer

from alexnet.callbacks.loop_state import batches_done
from alexnet.distributed.collectives import all_gather_object, data_parallel_group
from alexnet.hardware import matrix_rate

MEASURES = ("images_per_second", "data_wait_fraction", "model_flops_per_second", "matrix_rate_fraction")
SAVED = ("images", "seconds", "waited", "epoch_images", "epoch_seconds", "epoch_waited")


class ThroughputMonitor(Callback):
    """Measure images per second over all devices, and the share of training time spent waiting for data.

    Waiting is all time between the end of a step and the start of the next: fetching, copying and augmenting
    a batch. Validation is not counted. `epoch_*` are those of the current epoch. `flops` are those of
    training on one image; their rate is also given as a fraction of the rate of a matrix product, which
    is measured on all devices at once as training begins.
    """

    def __init__(self, flops: int) -> None:
        self.flops = flops
        self._matrix_rate = 0.0
        self.images = self.epoch_images = 0
        self.seconds = self.epoch_seconds = 0.0
        self.waited = self.epoch_waited = 0.0
        self._mark = 0.0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._matrix_rate = sum(all_gather_object(matrix_rate(pl_module.device, str(trainer.precision))))

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not batches_done(trainer):
            self.epoch_images, self.epoch_seconds, self.epoch_waited = 0, 0.0, 0.0
        self._mark = perf_counter()

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        waited = self._lap()
        self.waited += waited
        self.epoch_waited += waited

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if batch_idx + 1 == trainer.num_training_batches and pl_module.device.type == "cuda":
            torch.cuda.synchronize()  # the last steps may still be running
        self._lap()
        images = len(batch[1]) * data_parallel_group(trainer).count
        self.images += images
        self.epoch_images += images

    def _lap(self) -> float:
        now = perf_counter()
        elapsed, self._mark = now - self._mark, now
        self.seconds += elapsed
        self.epoch_seconds += elapsed
        return elapsed

    def state_dict(self) -> dict[str, Any]:
        return {key: getattr(self, key) for key in SAVED}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        vars(self).update(state_dict)

    def summary(self) -> dict[str, float]:
        """Return the rates over the whole run so far."""
        return self._rates(self.images, self.seconds, self.waited)

    def epoch_summary(self) -> dict[str, float]:
        """Return the rates over the current epoch."""
        return self._rates(self.epoch_images, self.epoch_seconds, self.epoch_waited)

    def _rates(self, images: int, seconds: float, waited: float) -> dict[str, float]:
        if seconds == 0:
            return dict.fromkeys(MEASURES, 0.0)
        flops = self.flops * images / seconds
        # a resumed run that ends before training starts has not measured the product
        fraction = flops / self._matrix_rate if self._matrix_rate else 0.0
        values = (images / seconds, waited / seconds, flops, fraction)
        return dict(zip(MEASURES, values, strict=True))
