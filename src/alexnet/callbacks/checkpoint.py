"""Saving last.ckpt to resume from and best.ckpt to use, and stopping a run on request."""

import math
import time
from enum import IntEnum
from pathlib import Path
from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint

from alexnet.callbacks.loop_state import resume_loops, set_loop_position
from alexnet.callbacks.nan_monitor import NaNMonitor, all_finite
from alexnet.callbacks.throughput_monitor import ThroughputMonitor
from alexnet.config import CheckpointConfig
from alexnet.distributed.collectives import RankConsensus
from alexnet.runs.signals import GracefulShutdown, InterruptionError


class _Request(IntEnum):
    """What a rank requests after a step. All ranks do the largest."""

    nothing = 0
    save = 1
    stop = 2
    fail = 3


class TrainingCheckpoint(Checkpoint):
    """Save as each epoch begins, in between as `config` says, and before the run stops.

    last.ckpt holds all that a resumed run needs to be bit-identical to an uninterrupted one, best.ckpt the
    weights of the epoch with the lowest validation error (top-1). A diverged loss ends the run before
    it is saved. Raises `InterruptionError` on all ranks if one of them was asked to stop, after the step or
    between two batches of validation; the end of trainer.max_time counts from the first step on. `folder` is
    None on all ranks but the first.
    """

    def __init__(
        self,
        folder: Path | None,
        config: CheckpointConfig,
        shutdown: GracefulShutdown,
        nan_monitor: NaNMonitor,
        throughput: ThroughputMonitor,
        began: float,
    ) -> None:
        self.folder = folder or Path()  # the other ranks write nothing
        self.config, self.shutdown = config, shutdown
        self.nan_monitor, self.throughput = nan_monitor, throughput
        self.best = math.inf
        self._saved_at = began  # what a crash can lose includes the time until the first step
        self._position = (0, 0, 1)  # epoch, how many of its batches are done, how many it has
        self._stepped = False  # in this start; or one longer than trainer.max_time would begin for ever

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.shutdown.set_handlers()
        self._consensus = RankConsensus()

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        resume_loops(trainer)
        if trainer.current_epoch and not trainer.fit_loop.is_resuming:  # else it is already saved
            self._save(trainer, 0)
        if self._consensus.wait(self._stop_request()):
            self._end()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        done = batch_idx + 1
        self._stepped = True
        failed = self.nan_monitor.update(trainer, outputs["loss"])
        request = _Request.fail if failed else self._stop_request() or self._save_request(trainer)
        last = done == trainer.num_training_batches
        agreed = self._consensus.wait(request) if last else self._consensus.poll(request)
        if agreed == _Request.fail:
            self.nan_monitor.fail(trainer)
        if agreed != _Request.nothing:
            self._save(trainer, done)
        if agreed == _Request.stop:
            self._end()

    def on_validation_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, *args: Any, **kwargs: Any
    ) -> None:
        if self._consensus.poll(self._stop_request()):
            self._save(trainer, int(trainer.num_training_batches))
            self._end()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        error = float(trainer.callback_metrics["val/top1_error"])
        if error < self.best:
            self.best = error
            if self.config.best:
                trainer.save_checkpoint(self.folder / "best.ckpt", weights_only=True)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._save(trainer, 0)

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        set_loop_position(checkpoint["loops"], *self._position)

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best = state_dict["best"]

    def _stop_request(self) -> _Request:
        return _Request.stop if self.shutdown.requested(timed=self._stepped) else _Request.nothing

    def _save_request(self, trainer: Trainer) -> _Request:
        steps, seconds = self.config.every_n_steps, self.config.every_n_seconds
        due = steps is not None and trainer.global_step % steps == 0
        due = due or (seconds is not None and time.monotonic() - self._saved_at >= seconds)
        return _Request.save if due else _Request.nothing

    def _end(self) -> None:
        raise InterruptionError(self.shutdown.requested() or "stopped with another rank")

    def _save(self, trainer: Trainer, done: int) -> None:
        # ranks may learn of a diverged loss one step late, and of non-finite gradients only from the next
        # loss: weights that are not finite are not saved
        non_finite = self.nan_monitor.diverged or not all_finite(trainer.lightning_module.parameters())
        if self._consensus.wait(_Request.fail if non_finite else _Request.nothing):
            self.nan_monitor.fail(trainer)
        self._saved_at = time.monotonic()
        if self.config.last:
            self._position = (trainer.current_epoch, done, int(trainer.num_training_batches))
            trainer.save_checkpoint(self.folder / "last.ckpt", weights_only=False)
            self.throughput.skip(trainer.lightning_module)
