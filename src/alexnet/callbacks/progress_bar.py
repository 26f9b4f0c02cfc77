"""A live progress bar for each epoch."""

from typing import Any

from lightning import Callback, LightningModule, Trainer
from rich.progress import Progress

from alexnet.callbacks.loop_state import batches_done
from alexnet.terminal import live_progress

STEPS_BETWEEN_LOSSES = 10  # reading the loss waits for the device: not at every step


class ProgressBar(Callback):
    """Show the current epoch's steps, the time left and the loss on the first rank's terminal.

    Unlike Lightning's bar it is on this project's console, so that log lines appear above it, and counts
    epochs from 1. Comes before other callbacks, so that it is hidden when they print.
    """

    def __init__(self) -> None:
        self._progress: Progress | None = None

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        epoch = f"Epoch {trainer.current_epoch + 1}/{trainer.max_epochs}"
        self._show(trainer, epoch, trainer.num_training_batches, batches_done(trainer))

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self._progress is None:
            return
        task = self._progress.tasks[0]
        if batch_idx % STEPS_BETWEEN_LOSSES == 0:
            epoch = task.description.partition("  ")[0]
            self._progress.update(task.id, description=f"{epoch}  loss {float(outputs['loss']):.3f}")
        self._progress.advance(task.id)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._show(trainer, "Validating", sum(trainer.num_val_batches))

    def on_validation_batch_end(self, *args: Any, **kwargs: Any) -> None:
        if self._progress is not None:
            self._progress.advance(self._progress.tasks[0].id)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._hide()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._hide()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self._hide()

    def _show(self, trainer: Trainer, description: str, total: float, done: int = 0) -> None:
        self._hide()
        if trainer.is_global_zero:
            self._progress = live_progress()
            self._progress.add_task(description, total=total, completed=done)
            self._progress.start()

    def _hide(self) -> None:
        if self._progress is not None:
            self._progress.stop()
            self._progress = None
