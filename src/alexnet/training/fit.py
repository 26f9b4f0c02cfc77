"""One training run from beginning to end: fit, and write down what came of it."""

import logging
import os
import shlex
from pathlib import Path

from lightning import Callback, Trainer
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.fabric.utilities.rank_zero import rank_zero_only
from lightning.pytorch.callbacks import EarlyStopping
from lightning.pytorch.loggers import WandbLogger

from alexnet.callbacks.activation_monitor import ActivationMonitor
from alexnet.callbacks.checkpoint import TrainingCheckpoint
from alexnet.callbacks.compiler_check import CompilerCheck
from alexnet.callbacks.metrics_recorder import MetricsRecorder
from alexnet.callbacks.progress_bar import ProgressBar
from alexnet.callbacks.rng_state import RNGStateCallback
from alexnet.callbacks.sample_count_check import SampleCountCheck
from alexnet.config import EarlyStoppingConfig, Logger
from alexnet.distributed.rank_monitor import RankMonitor, print_error
from alexnet.errors import UserError, explain_failure
from alexnet.hardware import peak_memory_mb, resolve_accelerator, resolve_precision, retain_malloc
from alexnet.runs.environment import describe_environment
from alexnet.runs.folder import RunFolder
from alexnet.runs.log import log_to_file, log_to_terminal
from alexnet.runs.results import training_result
from alexnet.runs.resume import TrainRequest
from alexnet.runs.signals import GracefulShutdown, InterruptionError, parse_max_time, requeue
from alexnet.runs.tracking import build_wandb_logger, finish
from alexnet.training.components import Components, build_components, check_same_run, last_checkpoint
from alexnet.training.summary import print_outcome, print_plan
from alexnet.training.trainer_args import check_devices, trainer_arguments

log = logging.getLogger(__name__)


def train(request: TrainRequest, *, shares_process: bool = False) -> float | None:
    """Run one training, or go on with one, and return its last validation top-1 error in percent.

    Raises `UserError` before anything is written for what cannot run; whatever happens after the run
    folder exists ends in its result.json.
    """
    config = request.config
    writes = getattr(rank_zero_only, "rank", 0) == 0  # Lightning reads the rank from the environment
    log_to_terminal(quiet=not writes)
    if shares_process and config.trainer.devices > 1:
        raise UserError(
            f"hydra/launcher=basic with trainer.devices={config.trainer.devices}: the jobs share a process,"
            " which cannot start several devices again and again. Use hydra/launcher=process."
        )
    check_devices(config.trainer, config.strategy, config.model.columns, config.data.batch_size)
    if config.performance.retain_malloc and resolve_accelerator(config.trainer.accelerator) == "cpu":
        retain_malloc()
    parts = build_components(request)
    checkpoint = last_checkpoint(request.previous) if request.previous else None
    if not writes:
        _Run(request, parts, None, checkpoint).follow()
        return None
    if request.previous:
        check_same_run(request.previous, checkpoint, parts)
        folder = RunFolder.reopen(request.previous)
    else:
        folder = RunFolder.create(config.outputs, request.resolved, config.run_folder)
    run = _Run(request, parts, folder, checkpoint)
    with folder.locked(), log_to_file(folder.path / "train.log"):
        run.lead()
    return run.recorder.rows[-1].get("val/top1_error") if run.recorder.rows else None


class _Run:
    """One start of a run, on one rank; `folder` is None on all but the first, which writes."""

    def __init__(
        self, request: TrainRequest, parts: Components, folder: RunFolder | None, checkpoint: Path | None
    ) -> None:
        self.request, self.parts, self.folder, self.checkpoint = request, parts, folder, checkpoint
        config = request.config
        self.recorder = MetricsRecorder(folder, parts.throughput, parts.module.classes, request.resolved)
        self.watch = RankMonitor()
        self.shutdown = GracefulShutdown(parse_max_time(config.trainer.max_time))
        self.logger: WandbLogger | None = None
        checkpoints = folder.checkpoints if folder else None
        self.callbacks: list[Callback] = [
            ProgressBar(),
            SampleCountCheck(parts.datamodule),
            parts.throughput,
            self.recorder,
            ActivationMonitor(
                folder, parts.datamodule, config.callbacks.activation_monitor.images, self.recorder.title
            ),
            parts.nan_monitor,
            parts.convergence_monitor,
            self.watch,
            CompilerCheck(config.performance),
            RNGStateCallback(),
            *_early_stopping(config.callbacks.early_stopping),
            TrainingCheckpoint(checkpoints, config.callbacks.checkpoint, self.shutdown, parts.nan_monitor),
        ]

    def follow(self) -> None:
        """Train beside the first process, which writes everything down."""
        try:
            self._fit()
        except InterruptionError as problem:
            raise SystemExit(1) from problem
        except RuntimeError as problem:
            if (lost := self.watch.explain(problem)) is None:
                raise
            if "Rank 0" in lost:  # which cannot tell
                print_error(lost)
            raise UserError(lost) from problem

    def lead(self) -> None:
        """Train; then, whatever happened, write result.json and say how it went."""
        self.watch.abandon = self._abandon
        status, error = "failed", None
        try:
            self._describe()
            self.logger = self._wandb_logger()
            self._fit()
            status = "completed"
        except InterruptionError as problem:
            status, error = "interrupted", str(problem)
            raise KeyboardInterrupt(f"Interrupted: {error}. {self._how_to_go_on()}") from problem
        except (KeyboardInterrupt, SystemExit) as problem:
            status, error = "interrupted", "stopped by the user"
            raise KeyboardInterrupt(f"Interrupted: {error}. {self._how_to_go_on()}") from problem
        except UserError as problem:
            error = str(problem)
            if not isinstance(problem.__cause__, OSError | RuntimeError):
                raise
            raise UserError(self._with_advice(error)) from problem  # a disk is to blame, not the run
        except Exception as problem:
            error = f"{type(problem).__name__}: {problem}"
            if told := self.watch.explain(problem):
                error = f"{told}."
                raise UserError(error) from problem
            if told := explain_failure(problem):
                error = told
                raise UserError(self._with_advice(error)) from problem
            raise
        finally:
            self._record(status, error)
            if self.shutdown.requeue:
                requeue()

    def _fit(self) -> None:
        config = self.request.config
        arguments = trainer_arguments(config.trainer, config.strategy)
        if SLURMEnvironment.detect():  # or Lightning would save and requeue in its own way
            arguments["plugins"].append(SLURMEnvironment(auto_requeue=False))
        trainer = Trainer(
            **arguments,
            callbacks=self.callbacks,
            logger=self.logger or False,
            use_distributed_sampler=False,  # GlobalBatches splits batches over the ranks
            num_sanity_val_steps=0,
            enable_model_summary=False,
            enable_progress_bar=False,  # EpochProgress instead
        )
        with self.shutdown.installed():
            trainer.fit(
                self.parts.module, self.parts.datamodule, ckpt_path=self.checkpoint, weights_only=True
            )

    def _describe(self) -> None:
        """Write down what is going to run, and say it."""
        assert self.folder is not None
        request, parts, folder = self.request, self.parts, self.folder
        environment = "environment.json"
        overrides = request.overrides
        if request.previous:
            count = len(list(folder.path.glob("environment*.json")))
            environment = f"environment.resumed-{count}.json" if count else environment
            overrides = [
                *folder.read_overrides(),
                *(item for item in overrides if not item.startswith("resume=")),
            ]
        folder.write_yaml("config.yaml", request.resolved)
        folder.write_yaml("overrides.yaml", overrides)
        folder.write_json(environment, describe_environment(parts.data.fingerprint))
        folder.write_excluded(parts.data.excluded)
        print_plan(request.config, parts.data, parts.network, folder, parts.init_from)
        if request.previous:
            log.info(f"Resuming  {self.checkpoint or 'from the beginning: there is no last.ckpt'}")

    def _wandb_logger(self) -> WandbLogger | None:
        request = self.request
        if request.config.logger.kind is Logger.csv or os.environ.get("WANDB_MODE") == "disabled":
            return None
        assert self.folder is not None
        return build_wandb_logger(request.config.logger, self.folder, request.resolved, request.overrides)

    def _record(self, status: str, error: str | None) -> None:
        assert self.folder is not None
        folder, parts, config = self.folder, self.parts, self.request.config
        folder.use_reserve()
        excluded = parts.data.excluded | parts.data.newly_unreadable()
        result = training_result(
            self.request.resolved, parts.data, parts.network, self.recorder.rows, parts.throughput
        )
        result |= {"status": status, "error": error, "warning": parts.convergence_monitor.warning}
        result |= {"excluded_files": len(excluded), "skipped_steps": parts.nan_monitor.skipped}
        result |= {"wall_seconds": self.recorder.seconds()}
        result |= {"precision": resolve_precision(config.trainer)}
        result |= {"peak_memory_mb": peak_memory_mb(resolve_accelerator(config.trainer.accelerator))}
        unwritten = None
        try:
            folder.write_json("result.json", result)
            folder.write_excluded(excluded)
            if self.recorder.rows:
                folder.write_metrics(self.recorder.rows)
                self.recorder.draw()
        except OSError as problem:  # a full disk: the error that is told is the first one
            unwritten = f"Not written: {explain_failure(problem)}"
            log.warning(unwritten)
        print_outcome(result, folder, self.logger, config)
        if self.logger is not None:
            finish(self.logger, folder, result)
        if unwritten and status == "completed":
            raise UserError(self._with_advice(unwritten))

    def _abandon(self, reason: str) -> None:
        print_error(reason)
        self._record("failed", reason)

    def _with_advice(self, error: str) -> str:
        """What is told of an error after which the run can go on, when its cause is gone."""
        assert self.folder is not None
        return f"{error} {self._how_to_go_on()}" if self.folder.path.exists() else error

    def _how_to_go_on(self) -> str:
        assert self.folder is not None
        return f"To go on: python src/train.py {shlex.quote(f'resume={self.folder.path}')}"


def _early_stopping(config: EarlyStoppingConfig) -> list[Callback]:
    if config.patience is None:
        return []
    patience, least = config.patience, config.min_delta
    return [EarlyStopping("val/top1_error", min_delta=least, patience=patience, check_finite=False)]
