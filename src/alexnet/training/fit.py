"""One training run from beginning to end."""

import logging
import os
import shlex
from pathlib import Path
from typing import Any

from lightning import Callback, Trainer
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.fabric.utilities.rank_zero import rank_zero_only
from lightning.pytorch.callbacks import EarlyStopping
from lightning.pytorch.loggers import WandbLogger

from alexnet.callbacks.activation_monitor import ActivationMonitor
from alexnet.callbacks.checkpoint import TrainingCheckpoint
from alexnet.callbacks.compiler_check import CompilerCheck
from alexnet.callbacks.metrics_recorder import MetricsRecorder
from alexnet.callbacks.network_figures import NetworkFigures
from alexnet.callbacks.progress_bar import ProgressBar
from alexnet.callbacks.rng_state import RNGStateCallback
from alexnet.callbacks.sample_count_check import SampleCountCheck
from alexnet.config import EarlyStoppingConfig, Logger
from alexnet.distributed.rank_monitor import RankMonitor, print_error
from alexnet.errors import UserError
from alexnet.hardware import peak_memory_mb, resolve_accelerator, resolve_precision, retain_malloc
from alexnet.runs.folder import RunFolder
from alexnet.runs.log import log_to_file, log_to_terminal
from alexnet.runs.results import INPUT_BOUND, count_parameters, result_fields
from alexnet.runs.resume import TrainRequest
from alexnet.runs.signals import GracefulShutdown, InterruptionError, parse_max_time, requeue
from alexnet.runs.tracking import build_wandb_logger, finish
from alexnet.training.components import Components, build_components, check_same_run, last_checkpoint
from alexnet.training.session import RunSession
from alexnet.training.summary import print_plan, print_success
from alexnet.training.trainer_args import check_devices, trainer_arguments

log = logging.getLogger(__name__)


def train(request: TrainRequest, *, shares_process: bool = False) -> float | None:
    """Run one training, or resume one, and return its last validation top-1 error in percent.

    Raises `UserError` before anything is written for what cannot run; whatever happens after the run
    folder exists ends in its result.json.
    """
    config = request.config
    is_main = getattr(rank_zero_only, "rank", 0) == 0  # Lightning reads the rank from the environment
    log_to_terminal(quiet=not is_main)
    if shares_process and config.trainer.devices > 1:
        raise UserError(
            f"hydra/launcher=basic with trainer.devices={config.trainer.devices}: the jobs share a process,"
            " which cannot start several devices again and again. Use hydra/launcher=process."
        )
    check_devices(config.trainer, config.strategy, config.model.columns, config.data.batch_size)
    if config.performance.retain_malloc and resolve_accelerator(config.trainer.accelerator) == "cpu":
        retain_malloc()
    components = build_components(request)
    checkpoint = last_checkpoint(request.previous) if request.previous else None
    if not is_main:
        _Fit(request, components, None, checkpoint).run_worker()
        return None
    if request.previous:
        check_same_run(request.previous, checkpoint, components)
        folder = RunFolder.reopen(request.previous)
    else:
        folder = RunFolder.create(config.outputs, request.resolved, config.run_folder)
    session = _TrainSession(request, components, folder, checkpoint)
    with folder.locked(), log_to_file(folder.path / "train.log"):
        session.run()
    return session.rows[-1].get("val/top1_error") if session.rows else None


class _Fit:
    """Lightning's Trainer with the callbacks of a run, on one rank; only the first has a `folder`."""

    def __init__(
        self, request: TrainRequest, components: Components, folder: RunFolder | None, checkpoint: Path | None
    ) -> None:
        config = request.config
        self.config, self.components, self.checkpoint = config, components, checkpoint
        classes = components.module.classes
        self.recorder = MetricsRecorder(folder, components.throughput, classes, request.resolved)
        self.rank_monitor = RankMonitor()
        self.shutdown = GracefulShutdown(parse_max_time(config.trainer.max_time))
        checkpoints = folder.checkpoints if folder else None
        monitored = config.callbacks.activation_monitor.images
        self.callbacks: list[Callback] = [
            ProgressBar(),
            SampleCountCheck(components.datamodule),
            components.throughput,
            self.recorder,
            NetworkFigures(folder, config.model.name),
            ActivationMonitor(folder, components.datamodule, monitored, self.recorder.title),
            components.nan_monitor,
            components.convergence_monitor,
            self.rank_monitor,
            CompilerCheck(config.performance),
            RNGStateCallback(),
            *_early_stopping(config.callbacks.early_stopping),
            TrainingCheckpoint(
                checkpoints, config.callbacks.checkpoint, self.shutdown, components.nan_monitor
            ),
        ]

    def run(self, logger: WandbLogger | None = None) -> None:
        """Train to the end, or from the checkpoint to the end."""
        arguments = trainer_arguments(self.config.trainer, self.config.strategy)
        if SLURMEnvironment.detect():  # or Lightning would save and requeue in its own way
            arguments["plugins"].append(SLURMEnvironment(auto_requeue=False))
        trainer = Trainer(
            **arguments,
            callbacks=self.callbacks,
            logger=logger or False,
            use_distributed_sampler=False,  # GlobalBatchSampler splits batches over the ranks
            num_sanity_val_steps=0,
            enable_model_summary=False,
            enable_progress_bar=False,  # ProgressBar instead
        )
        module, datamodule = self.components.module, self.components.datamodule
        with self.shutdown.installed():
            trainer.fit(module, datamodule, ckpt_path=self.checkpoint, weights_only=True)

    def run_worker(self) -> None:
        """Train beside the first process, which writes everything down."""
        try:
            self.run()
        except InterruptionError as problem:
            raise SystemExit(1) from problem
        except RuntimeError as problem:
            if (lost := self.rank_monitor.explain(problem)) is None:
                raise
            if "Rank 0" in lost:  # which cannot tell
                print_error(lost)
            raise UserError(lost) from problem


class _TrainSession(RunSession):
    """A training run on the first process."""

    def __init__(
        self, request: TrainRequest, components: Components, folder: RunFolder, checkpoint: Path | None
    ) -> None:
        overrides = request.overrides
        if request.previous:
            typed = [item for item in overrides if not item.startswith("resume=")]
            overrides = [*folder.read_overrides(), *typed]
        super().__init__(folder, components.data, request.resolved, overrides)
        self.request, self.components, self.checkpoint = request, components, checkpoint
        self.fit = _Fit(request, components, folder, checkpoint)
        self.fit.rank_monitor.on_rank_lost = self._abandon
        self.logger: WandbLogger | None = None

    def work(self) -> None:
        self.logger = self._wandb_logger()
        try:
            self.fit.run(self.logger)
        finally:
            self.rows = self.fit.recorder.rows

    def print_plan(self) -> None:
        print_plan(self, self.request.config, self.components.network, self.components.init_from)
        if self.request.previous:
            log.info(f"Resuming  {self.checkpoint or 'from the beginning: there is no last.ckpt'}")

    def result(self) -> dict[str, Any]:
        components, trainer = self.components, self.request.config.trainer
        rates: dict[str, Any] = components.throughput.summary()
        rates["input_bound"] = rates["data_wait_fraction"] > INPUT_BOUND
        parameters = count_parameters(components.network)
        return result_fields(self.resolved, self.data, parameters, self.fit.recorder.rows, rates) | {
            "warning": components.convergence_monitor.warning,
            "skipped_steps": components.nan_monitor.skipped,
            "wall_seconds": self.fit.recorder.seconds(),
            "precision": resolve_precision(trainer),
            "peak_memory_mb": peak_memory_mb(resolve_accelerator(trainer.accelerator)),
        }

    def print_success(self, result: dict[str, Any]) -> None:
        print_success(result, self.folder, self.logger, self.request.config)

    def resume_hint(self) -> str:
        return f"To resume: python src/train.py {shlex.quote(f'resume={self.folder.path}')}"

    def explain(self, problem: Exception) -> str | None:
        lost = self.fit.rank_monitor.explain(problem)
        return f"{lost}." if lost else super().explain(problem)

    def write_metrics(self) -> None:
        if self.fit.recorder.rows:
            self.folder.write_metrics(self.fit.recorder.rows)
            self.fit.recorder.draw()

    def close(self, result: dict[str, Any]) -> None:
        if self.logger is not None:
            finish(self.logger, self.folder, result)

    def record(self, status: str, error: str | None) -> None:
        try:
            super().record(status, error)
        finally:
            if self.fit.shutdown.requeue:
                requeue()

    def _wandb_logger(self) -> WandbLogger | None:
        config = self.request.config.logger
        if config.kind is Logger.csv or os.environ.get("WANDB_MODE") == "disabled":
            return None
        return build_wandb_logger(config, self.folder, self.resolved, self.request.overrides)

    def _abandon(self, reason: str) -> None:
        print_error(reason)
        self.record("failed", reason)


def _early_stopping(config: EarlyStoppingConfig) -> list[Callback]:
    if config.patience is None:
        return []
    patience, least = config.patience, config.min_delta
    return [EarlyStopping("val/top1_error", min_delta=least, patience=patience, check_finite=False)]
