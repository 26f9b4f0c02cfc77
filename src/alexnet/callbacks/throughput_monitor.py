"""Measurement of how fast a run is, and how long it waits for images."""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from statistics import median
from time import perf_counter
from typing import Any, Self

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


class Mark(ABC):
    """A moment in the sequence of a run's steps."""

    @abstractmethod
    def passed(self, *, wait: bool) -> bool:
        """Return whether it has been reached; with `wait`, not before it has."""

    @abstractmethod
    def since(self, earlier: Self) -> float:
        """Return the seconds since another mark. Both must have been reached."""


class HostMark(Mark):
    """A moment in which this process was here: for devices whose work it waits for."""

    def __init__(self) -> None:
        self.time = perf_counter()

    def passed(self, *, wait: bool) -> bool:
        return True

    def since(self, earlier: Self) -> float:
        return self.time - earlier.time


class CudaMark(Mark):
    """A moment in which a GPU gets here, which works off what this process has queued.

    The process runs ahead of the GPU, and waits for it here and there: its own time would say how long it
    waited for the GPU, not how long the GPU waited for it.
    """

    def __init__(self) -> None:
        self.event = torch.cuda.Event(enable_timing=True)
        self.event.record()

    def passed(self, *, wait: bool) -> bool:
        if wait:
            self.event.synchronize()
        return self.event.query()

    def since(self, earlier: Self) -> float:
        return earlier.event.elapsed_time(self.event) / 1000


class ThroughputMonitor(Callback):
    """Measure the rates of steady steps, and the time of the steps before.

    The first `STARTUP_STEPS` of each start of a run, and the first step with another number of images, are
    not steady: compiling is part of them. An epoch has rates where at least half of its steps are steady; the
    rates of a run are the medians over its epochs. Images are those of all devices. Waiting is all time
    between the end of a step and the start of the next: fetching, copying and augmenting a batch. A GPU's
    times are its own, not those of this process, which queues the work. Validation is not counted, nor is
    what `skip` leaves out.
    `flops` are those of training on one image; their rate is also given as a fraction of the rate of a matrix
    product, measured on all devices at once as the first training of a process begins.
    """

    def __init__(self, flops: int) -> None:
        self.flops = flops
        self.matrix_rate = 0.0
        self.epoch = StepTimes()  # the current one
        self.startup_seconds = 0.0
        self.epoch_rates: list[dict[str, float]] = []
        self._mark: Mark = HostMark()
        self._laps: deque[tuple[Mark, Mark, Callable[[float], None]]] = deque()  # not yet added up
        self._steps = 0  # of this start
        self._sizes: set[int] = set()  # numbers of images that a step of this start has had
        self._in_startup = False

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.matrix_rate = sum(all_gather_object(matrix_rate(pl_module.device, str(trainer.precision))))
        self._steps, self._sizes = 0, set()

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not batches_done(trainer):
            self.epoch = StepTimes()
        self._collect(wait=True)  # of an epoch that was not finished
        self._mark = _mark(pl_module)

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        first = self._steps < STARTUP_STEPS
        self._in_startup = first or len(batch[1]) not in self._sizes
        self._lap(pl_module, self._add_startup if first else self._add_waited)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        images = len(batch[1])
        self._steps += 1
        self._sizes.add(images)
        of_all_devices = images * data_parallel_group(trainer).count
        add = self._add_startup_step if self._in_startup else partial(self._add_step, of_all_devices)
        self._lap(pl_module, add)
        self._collect(wait=batch_idx + 1 == trainer.num_training_batches)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if (rates := self.epoch.rates()) is not None:
            self.epoch_rates.append(rates)

    def skip(self, module: LightningModule) -> None:
        """Leave out the time since the last step: it was spent on something else than the next one."""
        self._mark = _mark(module)

    def _lap(self, module: LightningModule, add: Callable[[float], None]) -> None:
        """End a lap here, whose seconds are given to `add` once they are known, and begin the next."""
        now = _mark(module)
        self._laps.append((self._mark, now, add))
        self._mark = now

    def _collect(self, *, wait: bool) -> None:
        """Add up the laps that have ended; with `wait`, all of them."""
        while self._laps and self._laps[0][1].passed(wait=wait):
            begin, end, add = self._laps.popleft()
            add(end.since(begin))

    def _add_waited(self, seconds: float) -> None:
        self.epoch.seconds += seconds
        self.epoch.waited += seconds

    def _add_step(self, images: int, seconds: float) -> None:
        self.epoch.images += images
        self.epoch.steps += 1
        self.epoch.seconds += seconds

    def _add_startup_step(self, seconds: float) -> None:
        self.epoch.startup_steps += 1
        self._add_startup(seconds)

    def _add_startup(self, seconds: float) -> None:
        self.epoch.startup_seconds += seconds
        self.startup_seconds += seconds

    def state_dict(self) -> dict[str, Any]:
        self._collect(wait=True)
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


def _mark(module: LightningModule) -> Mark:
    return CudaMark() if module.device.type == "cuda" else HostMark()
