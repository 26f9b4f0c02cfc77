"""One training run from beginning to end."""

import logging
import os
import shlex
import sys
from pathlib import Path
from typing import Any

from lightning.fabric.utilities.rank_zero import rank_zero_only
from lightning.pytorch.loggers import WandbLogger

from alexnet.config import WandbConfig
from alexnet.distributed.rank_monitor import print_error
from alexnet.errors import UserError
from alexnet.hardware import (
    flush_subnormals,
    ieee_float32,
    peak_memory_mb,
    resolve_accelerator,
    resolve_precision,
    retain_malloc,
)
from alexnet.paths import command_for
from alexnet.runs.folder import RunFolder
from alexnet.runs.log import log_to_file, log_to_terminal
from alexnet.runs.results import INPUT_BOUND, count_parameters, result_fields
from alexnet.runs.resume import AUTO
from alexnet.runs.signals import requeue
from alexnet.runs.tracking import finish, start_training_run
from alexnet.training.components import Components, build_components, check_same_run, last_checkpoint
from alexnet.training.request import TrainRequest
from alexnet.training.session import RunSession
from alexnet.training.summary import print_plan, print_success
from alexnet.training.trainer import RunTrainer
from alexnet.training.trainer_args import check_devices

log = logging.getLogger(__name__)


@flush_subnormals()
@ieee_float32()
def train(request: TrainRequest, *, shares_process: bool = False) -> float | None:
    """Run one training, or resume one, and return its last validation top-1 error in percent.

    Raises `UserError` for what cannot run, before anything is written. Once the run folder exists, every
    outcome is recorded in its result.json.
    """
    config = request.config
    is_main = getattr(rank_zero_only, "rank", 0) == 0  # Lightning reads the rank from the environment
    log_to_terminal(quiet=not is_main)
    if shares_process and config.trainer.devices > 1:
        raise UserError(
            f"hydra/launcher=basic with trainer.devices={config.trainer.devices}: the jobs share a process,"
            " which cannot start several devices repeatedly. Use hydra/launcher=process."
        )
    check_devices(config.trainer, config.strategy, config.model.columns, config.data.batch_size)
    if config.performance.retain_malloc and resolve_accelerator(config.trainer.accelerator) == "cpu":
        retain_malloc()
    components = build_components(request)
    checkpoint = last_checkpoint(request.previous) if request.previous else None
    if not is_main:
        RunTrainer(request, components, None, checkpoint).fit_as_worker()
        return None
    if request.previous:
        check_same_run(request.previous, checkpoint, components)
        folder = RunFolder.reopen(request.previous)
    else:
        folder = RunFolder.create(config.outputs, request.resolved, config.run_folder)
    session = _TrainSession(request, components, folder, checkpoint)
    with folder.locked(), log_to_file(folder.path / "train.log"):
        session.run()
    errors = (row.get("val/top1_error") for row in reversed(session.trainer.recorder.rows))
    return next((error for error in errors if error is not None), None)  # not every epoch validates


class _TrainSession(RunSession):
    """A training run on the first process."""

    external_causes = (OSError, RuntimeError)  # torch's error on a full disk is a RuntimeError

    def __init__(
        self, request: TrainRequest, components: Components, folder: RunFolder, checkpoint: Path | None
    ) -> None:
        resumed = request.previous is not None
        overrides = request.overrides
        if resumed:
            typed = [item for item in overrides if not item.startswith("resume=")]
            overrides = [*folder.read_overrides(), *typed]
        super().__init__(folder, components.data, request.resolved, overrides, resumed=resumed)
        self.request, self.components, self.checkpoint = request, components, checkpoint
        self.trainer = RunTrainer(request, components, folder, checkpoint)
        self.trainer.rank_monitor.on_rank_lost = self._abandon
        self.trainer.rendezvous.on_failure = self._abandon_start
        self.logger: WandbLogger | None = None

    def print_plan(self) -> None:
        print_plan(self, self.request.config, self.components.network, self.components.init_from)
        if self.resumed:
            log.info(f"Resuming  {self.checkpoint or 'from the beginning: there is no last.ckpt'}")
        elif self.request.config.resume == AUTO and self.request.config.run_folder is None:
            log.info(f"New run   no unfinished run of this configuration in {self.folder.path.parent}")

    def work(self) -> None:
        self.logger = self._wandb_logger()
        try:
            self.trainer.fit(self.logger)
        except RuntimeError as problem:
            if (lost := self.trainer.rank_monitor.explain(problem)) is None:
                raise
            raise UserError(f"{lost}.") from None

    def result(self) -> dict[str, Any]:
        trainer, config = self.trainer, self.request.config.trainer
        rates: dict[str, Any] = trainer.throughput.summary()
        waited = rates["data_wait_fraction"]
        rates["input_bound"] = None if waited is None else waited > INPUT_BOUND
        parameters = count_parameters(self.components.network)
        return result_fields(self.resolved, self.data, parameters, trainer.recorder.rows, rates) | {
            "warning": trainer.convergence_monitor.warning,
            "skipped_steps": trainer.nan_monitor.skipped,
            "wall_seconds": trainer.recorder.seconds(),
            "precision": resolve_precision(config),
            "peak_memory_mb": peak_memory_mb(resolve_accelerator(config.accelerator)),
        }

    def write_metrics(self) -> None:
        recorder = self.trainer.recorder
        if recorder.rows:  # else those of an earlier start stay
            self.folder.write_metrics(recorder.rows)
        self.trainer.finish_figures()

    def print_success(self, result: dict[str, Any]) -> None:
        run = None if self.logger is None else self.logger.experiment
        print_success(result, self.folder, run, self.request.config)

    def resume_hint(self) -> str:
        return f"To resume: {command_for('train')} {shlex.quote(f'resume={self.folder.path}')}"

    def close(self, result: dict[str, Any]) -> None:
        if self.logger is not None:
            logger = self.request.config.logger
            upload = isinstance(logger, WandbConfig) and logger.log_checkpoint
            finish(self.logger.experiment, self.folder, result, log_checkpoint=upload)

    def record(self, status: str, error: str | None, *, diverged: bool = False) -> None:
        super().record(status, error, diverged=diverged)
        if status == "interrupted" and self.trainer.shutdown.requeue:
            requeue()

    def _wandb_logger(self) -> WandbLogger | None:
        config = self.request.config.logger
        if not isinstance(config, WandbConfig) or os.environ.get("WANDB_MODE") == "disabled":
            return None
        run = start_training_run(config, self.folder, self.resolved, self.request.overrides)
        return WandbLogger(experiment=run, save_dir=self.folder.path)

    def _abandon(self, reason: str) -> None:
        """Record the run as failed, in the thread that noticed the lost rank; the process then ends."""
        print_error(reason)
        super().record("failed", reason)  # no requeue

    def _abandon_start(self, reason: str) -> None:
        """Record why the processes of the run have not met; the process then ends."""
        stopped = self.trainer.shutdown.requested() is not None
        kind, status = ("Interrupted", "interrupted") if stopped else ("Error", "failed")
        print(f"{kind}: {reason}. {self.resume_hint()}", file=sys.stderr, flush=True)
        self.record(status, reason)
