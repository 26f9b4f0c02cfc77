"""Measurement of how fast a run is, and how long it waits for images."""

from dataclasses import asdict, dataclass
from statistics import median
from time import perf_counter
from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer

from alexnet.callbacks.loop_state import batches_done
from alexnet.distributed.collectives import all_gather_object, data_parallel_group
from alexnet.hardware import matrix_rate

MEASURES = (
    *("images_per_second", "seconds_per_step", "startup_seconds", "data_wait_fraction"),
    *("model_flops_per_second", "matrix_rate_fraction"),
)
STARTUP_STEPS = 5  # of each start: they compile, fill caches and choose algorithms
LEAST_STEADY = 0.5  # share of an epoch's steps that must be steady for a rate


@dataclass
class StepTimes:
    """Sums over steps, in seconds. Those of the startup are apart from the steady ones."""

    images: int = 0
    steps: int = 0
    seconds: float = 0.0
    waited: float = 0.0  # of `seconds`, for data
    startup_steps: int = 0
    startup_seconds: float = 0.0

    def rates(self) -> dict[str, float] | None:
        """Return the rates of the steady steps; None where too few of the steps are steady."""
        if self.steps < LEAST_STEADY * (self.steps + self.startup_steps) or not self.seconds:
            return None
        return {
            "images_per_second": self.images / self.seconds,
            "seconds_per_step": self.seconds / self.steps,
            "data_wait_fraction": self.waited / self.seconds,
        }


class ThroughputMonitor(Callback):
    """Measure the rates of steady steps, and the time of the steps before.

    The first `STARTUP_STEPS` of each start of a run, and the first step with another number of images, are
    not steady: compiling is part of them. An epoch has rates where at least half of its steps are steady; the
    rates of a run are the medians over its epochs. Images are those of all devices. Waiting is all time
    between the end of a step and the start of the next: fetching, copying and augmenting a batch. Validation
    is not counted. `flops` are those of training on one image; their rate is also given as a fraction of the
    rate of a matrix product, which is measured on all devices at once as training begins.
    """

    def __init__(self, flops: int) -> None:
        self.flops = flops
        self.matrix_rate = 0.0
        self.epoch = StepTimes()  # the current one
        self.startup_seconds = 0.0
        self.epoch_rates: list[dict[str, float]] = []
        self._mark = 0.0
        self._steps = 0  # of this start
        self._sizes: set[int] = set()  # numbers of images that a step of this start has had
        self._in_startup = False

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.matrix_rate = sum(all_gather_object(matrix_rate(pl_module.device, str(trainer.precision))))
        self._steps, self._sizes = 0, set()

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not batches_done(trainer):
            self.epoch = StepTimes()
        self._mark = perf_counter()

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        first = self._steps < STARTUP_STEPS
        self._in_startup = first or len(batch[1]) not in self._sizes
        if self._in_startup:
            _synchronize(pl_module)  # the time of earlier steps is not this one's
        waited = self._lap()
        if first:
            self._add_startup(waited)
        else:
            self.epoch.seconds += waited
            self.epoch.waited += waited

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self._in_startup or batch_idx + 1 == trainer.num_training_batches:
            _synchronize(pl_module)  # the last steps may still be running
        seconds, images = self._lap(), len(batch[1])
        self._steps += 1
        self._sizes.add(images)
        if self._in_startup:
            self.epoch.startup_steps += 1
            self._add_startup(seconds)
            return
        self.epoch.steps += 1
        self.epoch.seconds += seconds
        self.epoch.images += images * data_parallel_group(trainer).count

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if (rates := self.epoch.rates()) is not None:
            self.epoch_rates.append(rates)

    def _lap(self) -> float:
        now = perf_counter()
        elapsed, self._mark = now - self._mark, now
        return elapsed

    def _add_startup(self, seconds: float) -> None:
        self.epoch.startup_seconds += seconds
        self.startup_seconds += seconds

    def state_dict(self) -> dict[str, Any]:
        return {
            "epoch": asdict(self.epoch),
            "startup_seconds": self.startup_seconds,
            "epoch_rates": [dict(rates) for rates in self.epoch_rates],
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load the state; that of a run which did not tell its steps apart has none of these keys."""
        self.epoch = StepTimes(**state_dict.get("epoch", {}))
        self.startup_seconds = state_dict.get("startup_seconds", 0.0)
        self.epoch_rates = state_dict.get("epoch_rates", [])

    def summary(self) -> dict[str, float | None]:
        """Return the rates of the run so far, None where no epoch has any, and the seconds of startups."""
        rates = self.epoch_rates or list(filter(None, [self.epoch.rates()]))
        medians = {key: median(epoch[key] for epoch in rates) for key in rates[0]} if rates else None
        return self._with_flops(medians, self.startup_seconds)

    def epoch_summary(self) -> dict[str, float | None]:
        """Return the rates of the current epoch, None where it has none, and its seconds of startups."""
        return self._with_flops(self.epoch.rates(), self.epoch.startup_seconds)

    def _with_flops(self, rates: dict[str, float] | None, startup_seconds: float) -> dict[str, float | None]:
        summary: dict[str, float | None] = dict.fromkeys(MEASURES) | {"startup_seconds": startup_seconds}
        if rates is None:
            return summary
        flops = self.flops * rates["images_per_second"]
        # a resumed run that ends before training starts has not measured the product
        share = flops / self.matrix_rate if self.matrix_rate else None
        return summary | rates | {"model_flops_per_second": flops, "matrix_rate_fraction": share}


def _synchronize(module: LightningModule) -> None:
    if module.device.type == "cuda":
        torch.cuda.synchronize()
