"""One training run from beginning to end: build, fit, write down what came of it."""

import logging
import os
import time
from dataclasses import dataclass
from typing import Any

from lightning import Callback, Trainer, seed_everything
from lightning.fabric.utilities.rank_zero import rank_zero_only
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import WandbLogger

from alexnet.choices import Logger
from alexnet.config import TrainConfig
from alexnet.data.datamodule import ImageDataModule
from alexnet.data.dataset import ImageData, load_image_data
from alexnet.errors import UserError
from alexnet.model.network import AlexNet
from alexnet.placement.watch import RankWatch, tell
from alexnet.run.environment import describe_environment
from alexnet.run.epoch_progress import EpochProgress
from alexnet.run.folder import RunFolder
from alexnet.run.log import log_to_file, log_to_terminal
from alexnet.run.recorder import Recorder
from alexnet.run.summary import describe_result, print_outcome, print_plan
from alexnet.run.tracking import build_wandb_logger
from alexnet.training.census import Census
from alexnet.training.devices import (
    check_devices,
    resolve_accelerator,
    trainer_arguments,
    workers_per_device,
)
from alexnet.training.learning_guard import LearningGuard
from alexnet.training.memory import peak_memory_mb
from alexnet.training.module import AlexNetModule
from alexnet.training.throughput import Throughput

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Parts:
    """What a run is made of."""

    data: ImageData
    network: AlexNet
    module: AlexNetModule
    datamodule: ImageDataModule
    throughput: Throughput
    guard: LearningGuard


def train(
    config: TrainConfig, resolved: dict[str, Any], overrides: list[str], *, shares_process: bool = False
) -> float | None:
    """Run one training and return its last validation top-1 error in percent.

    `resolved` is the same configuration as plain data, `overrides` what was typed. Raises
    `UserError` before anything is written for what cannot run; whatever happens after the run
    folder exists ends in its result.json.
    """
    writes = getattr(rank_zero_only, "rank", 0) == 0  # Lightning reads the rank from the environment
    log_to_terminal(quiet=not writes)
    if shares_process and config.trainer.devices > 1:
        raise UserError(
            f"hydra/launcher=basic with trainer.devices={config.trainer.devices}: the jobs share a process,"
            " which cannot start several devices again and again. Use hydra/launcher=process."
        )
    check_devices(config.trainer, config.strategy, config.model.columns, config.data.batch_size)
    parts = _build(config, resolved)
    folder = RunFolder.create(config.outputs, resolved, config.run_folder) if writes else None
    recorder = Recorder(folder, parts.throughput, parts.module.classes, resolved)
    watch = RankWatch()
    callbacks = [
        EpochProgress(),
        Census(parts.datamodule),
        parts.throughput,
        recorder,
        parts.guard,
        watch,
        *_checkpoints(config, folder),
    ]
    if folder is None:
        _follow(_trainer(config, callbacks, False), parts, watch)
        return None
    folder.write_yaml("config.yaml", resolved)
    folder.write_yaml("overrides.yaml", overrides)
    folder.write_json("environment.json", describe_environment(parts.data.fingerprint))
    folder.write_excluded(parts.data.excluded)
    with log_to_file(folder.path / "train.log"):
        print_plan(config, parts.data, parts.network, folder)
        _fit_and_record(config, resolved, overrides, parts, recorder, folder, callbacks, watch)
    return recorder.rows[-1].get("val/top1_error") if recorder.rows else None


def _build(config: TrainConfig, resolved: dict[str, Any]) -> _Parts:
    seed_everything(config.seed, verbose=False)
    data = load_image_data(config.data)
    classes = len(data.classes)
    network = AlexNet(config.model, classes)
    if config.trainer.precision == "64-true":
        network.double()  # Lightning would load a checkpoint's weights first, in float32
    workers = workers_per_device(config.data.workers, config.trainer)
    return _Parts(
        data,
        network,
        AlexNetModule(network, classes, config.optimizer, config.scheduler, resolved),
        ImageDataModule(data, config.data, crop=config.model.image_size, seed=config.seed, workers=workers),
        Throughput(),
        LearningGuard(config.callbacks.learning_guard, classes),
    )


def _follow(trainer: Trainer, parts: _Parts, watch: RankWatch) -> None:
    """Train beside the first process, which writes everything down."""
    try:
        trainer.fit(parts.module, parts.datamodule)
    except RuntimeError as problem:
        if (lost := watch.explain(problem)) is None:
            raise
        if "Rank 0" in lost:  # which cannot tell
            tell(lost)
        raise UserError(lost) from problem


def _fit_and_record(
    config: TrainConfig,
    resolved: dict[str, Any],
    overrides: list[str],
    parts: _Parts,
    recorder: Recorder,
    folder: RunFolder,
    callbacks: list[Callback],
    watch: RankWatch,
) -> None:
    """Train; then, whatever happened, write result.json and say how it went."""
    began = time.perf_counter()
    logger: WandbLogger | None = None

    def record(status: str, error: str | None) -> None:
        if recorder.rows:
            recorder.draw()
        excluded = parts.data.excluded | parts.data.newly_unreadable()
        folder.write_excluded(excluded)
        result = describe_result(resolved, parts.data, parts.network, recorder.rows, parts.throughput)
        result |= {"status": status, "error": error, "warning": parts.guard.warning}
        result |= {"excluded_files": len(excluded), "wall_seconds": time.perf_counter() - began}
        result |= {"peak_memory_mb": peak_memory_mb(resolve_accelerator(config.trainer.accelerator))}
        folder.write_json("result.json", result)
        print_outcome(result, folder, logger, config)
        if logger is not None:
            _finish(logger, folder, result)

    def abandon(reason: str) -> None:
        tell(reason)
        record("failed", reason)

    watch.abandon = abandon
    status, error = "failed", None
    try:
        logger = _logger(config, folder, resolved, overrides)
        _trainer(config, callbacks, logger or False).fit(parts.module, parts.datamodule)
        status = "completed"
    except BaseException as problem:
        interrupted = isinstance(problem, KeyboardInterrupt | SystemExit)
        status = "interrupted" if interrupted else "failed"
        error = "stopped by the user" if interrupted else f"{type(problem).__name__}: {problem}"
        if lost := watch.explain(problem):
            error = lost
            raise UserError(f"{lost}.") from problem
        raise
    finally:
        record(status, error)


def _checkpoints(config: TrainConfig, folder: RunFolder | None) -> list[Callback]:
    """last.ckpt to go on from, best.ckpt (weights only) to use."""
    directory = folder.checkpoints if folder else None  # Lightning hands the first rank's to the others
    kept: list[Callback] = []
    if config.callbacks.checkpoint.last:
        kept.append(ModelCheckpoint(directory, filename="last", enable_version_counter=False))
    if config.callbacks.checkpoint.best:
        kept.append(
            ModelCheckpoint(
                directory,
                filename="best",
                monitor="val/top1_error",
                save_weights_only=True,
                enable_version_counter=False,
            )
        )
    return kept


def _trainer(config: TrainConfig, callbacks: list[Callback], logger: WandbLogger | bool) -> Trainer:
    return Trainer(
        **trainer_arguments(config.trainer, config.strategy),
        callbacks=callbacks,
        logger=logger,
        use_distributed_sampler=False,  # GlobalBatches splits batches over the ranks
        num_sanity_val_steps=0,
        enable_model_summary=False,
        enable_progress_bar=False,  # EpochProgress instead
        enable_checkpointing=any(isinstance(callback, ModelCheckpoint) for callback in callbacks),
    )


def _logger(
    config: TrainConfig, folder: RunFolder, resolved: dict[str, Any], overrides: list[str]
) -> WandbLogger | None:
    if config.logger.kind is Logger.csv or os.environ.get("WANDB_MODE") == "disabled":
        return None
    return build_wandb_logger(config.logger, folder, resolved, overrides)


def _finish(logger: WandbLogger, folder: RunFolder, result: dict[str, Any]) -> None:
    import wandb

    for picture in sorted(folder.figures.glob("*.png")):
        logger.log_image(picture.stem, [str(picture)])
    logger.experiment.summary["result"] = result
    wandb.finish(exit_code=0 if result["status"] == "completed" else 1)
