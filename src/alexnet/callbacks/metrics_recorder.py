"""Recording of each epoch in the run folder, on the terminal and in the tracker."""

import logging
import time
from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer
from torch import Tensor

from alexnet.callbacks.loop_state import batches_done
from alexnet.callbacks.throughput_monitor import ThroughputMonitor
from alexnet.files import read_csv_columns, shortest_decimal
from alexnet.hardware import peak_memory_mb
from alexnet.runs.figures import LiveFigure, draw_curves
from alexnet.runs.folder import RunFolder
from alexnet.terminal import duration, format_speed

log = logging.getLogger(__name__)

# logged, but not of interest for each epoch: SampleCountCheck needs the first two
UNRECORDED = ("train/unreadable", "val/unreadable", "train/step_loss")
HEADINGS = "  epoch   train: loss  top-1   val: loss  top-1  top-5   images/s  waited  time left"


class MetricsRecorder(Callback):
    """Add a row to metrics.csv and a line to the terminal after each epoch, and keep curves.png current.

    Errors are in percent. `folder` is None on all ranks but the first, which writes.
    """

    def __init__(
        self,
        folder: RunFolder | None,
        throughput: ThroughputMonitor,
        classes: int,
        chance_loss: float,
        config: dict[str, Any],
    ) -> None:
        self.folder, self.throughput = folder, throughput
        self.classes, self.chance_loss = classes, chance_loss
        self.title = f"{config['model']['name']} on {config['data']['name']}"
        self.rows: list[dict[str, Any]] = []
        self._validated = False
        self._began = time.perf_counter()
        self._lr = 0.0
        self._headed = False
        self.curves = LiveFigure(self._draw)

    def seconds(self) -> float:
        """Return how long the run has taken; earlier starts count up to their last checkpoint."""
        return time.perf_counter() - self._began

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.folder is not None:
            # without the epochs after the checkpoint, which are repeated
            self.folder.write_metrics(self.rows)
            if self.rows:
                self.curves.update()

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not batches_done(trainer):
            self._lr = trainer.optimizers[0].param_groups[0]["lr"]  # at the end it is the next epoch's

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._validated = True

    def on_train_epoch_end(self, trainer: Trainer, pl_module: Any) -> None:
        # on every rank: reading the metrics sums them over the ranks
        known = {key: _number(value) for key, value in trainer.callback_metrics.items()}
        for metrics in (pl_module.train_metrics, pl_module.val_metrics):
            known |= metrics.exact_percentages(known)
        if not self._validated:
            known = {key: value for key, value in known.items() if not key.startswith("val/")}
        self._validated = False
        if self.folder is None:
            return
        rates = self.throughput.epoch_summary()
        memory = peak_memory_mb("gpu" if pl_module.on_gpu else "cpu")
        measures = {"lr": self._lr} | rates | {"peak_memory_mb": memory}
        row: dict[str, Any] = {"epoch": trainer.current_epoch + 1, "step": trainer.global_step}
        expected = [*pl_module.train_metrics, *pl_module.val_metrics]  # and what callbacks have logged
        recorded = [key for key in dict.fromkeys([*expected, *known]) if key not in UNRECORDED]
        row |= {key: known.get(key) for key in recorded} | measures
        row["seconds"] = self.seconds()
        self.rows.append(row)
        self.folder.write_metrics(self.rows)
        self.curves.update()
        for logger in trainer.loggers:
            measured = {key: value for key, value in measures.items() if value is not None}
            logger.log_metrics(measured, step=trainer.global_step)
        if not self._headed:
            log.info(HEADINGS)
            self._headed = True
        log.info(self._line(row, trainer.max_epochs or 0))

    def state_dict(self) -> dict[str, Any]:
        return {"rows": [dict(row) for row in self.rows], "lr": self._lr, "seconds": self.seconds()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.rows, self._lr = state_dict["rows"], state_dict["lr"]
        self._began -= state_dict["seconds"]

    def _draw(self) -> None:
        assert self.folder is not None
        metrics = read_csv_columns(self.folder.path / "metrics.csv")
        draw_curves(metrics, self.classes, self.chance_loss, self.title, self.folder.figures / "curves.png")

    def _line(self, row: dict[str, Any], epochs: int) -> str:
        left = row["seconds"] / row["epoch"] * (epochs - row["epoch"])
        speed = row["images_per_second"]
        cells = (
            f"{row['epoch']}/{epochs}".rjust(7),
            _cell(row["train/loss"], ".3f").rjust(12),
            _cell(row["train/top1_error"], ".1f", "%").rjust(5),
            _cell(row["val/loss"], ".3f").rjust(10),
            _cell(row["val/top1_error"], ".1f", "%").rjust(5),
            _cell(row.get("val/top5_error"), ".1f", "%").rjust(5),
            ("-" if speed is None else format_speed(speed)).rjust(9),
            _cell(row["data_wait_fraction"], ".0%").rjust(6),
            duration(left).rjust(9),
        )
        return "  ".join(cells)


def _number(value: Tensor) -> float:
    """Return a scalar without the digits that float32 does not have."""
    return shortest_decimal(value.item()) if value.dtype == torch.float32 else value.item()


def _cell(value: float | None, form: str, unit: str = "") -> str:
    return "-" if value is None else f"{value:{form}}{unit}"
