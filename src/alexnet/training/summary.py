"""What a training run prints: its plan before, its outcome after."""

import logging
import shlex
from collections.abc import Sequence
from typing import Any

from torch import nn

from alexnet.config import TrainConfig
from alexnet.data.locations import pack_folder
from alexnet.hardware import resolve_accelerator, resolve_precision
from alexnet.models.families.alexnet import AlexNetConfig
from alexnet.models.families.convnet import ConvNetConfig
from alexnet.paths import command_for
from alexnet.runs.folder import RunFolder
from alexnet.runs.results import count_parameters
from alexnet.runs.tracking import sync_command
from alexnet.terminal import counted, duration, format_speed
from alexnet.training.session import RunSession, print_load, print_validation_error
from alexnet.training.trainer_args import copies_of_network, workers_per_device

log = logging.getLogger(__name__)

WORTH_ADVICE = 60  # seconds; in shorter runs the speed of the input does not matter


def print_plan(session: RunSession, config: TrainConfig, network: nn.Module, init_from: str | None) -> None:
    """Print what is about to happen."""
    model, trainer = config.model, config.trainer
    features = "".join(f", {feature}" for feature in model.features)
    devices = trainer.devices * trainer.num_nodes
    share = config.data.batch_size // copies_of_network(trainer, config.strategy)
    split = f" ({devices} devices, {share} images each)" if devices > 1 else ""
    log.info(f"Model     {model.name}: {count_parameters(network):,} parameters{features}")
    if init_from:
        log.info(f"Weights   initialized from {init_from}")
    if model.freeze:
        log.info(f"Frozen    {', '.join(model.freeze)}")
    session.print_data(config.data.name)
    log.info(
        f"Training  {counted(trainer.max_epochs, 'epoch')}, global batch {config.data.batch_size}{split},"
        f" learning rate {config.optimizer.lr:g}, {resolve_accelerator(trainer.accelerator)},"
        f" {resolve_precision(trainer)}, seed {config.seed}"
    )
    session.print_folder()


def print_success(result: dict[str, Any], folder: RunFolder, wandb_run: Any, config: TrainConfig) -> None:
    """Print how a completed run went, where its files are, and what to try next."""
    log.info(f"Done in {duration(result['wall_seconds'])}: {_speed(result)}")
    print_load(result)
    print_validation_error(result)
    if result["input_bound"] and result["wall_seconds"] > WORTH_ADVICE:
        log.info(f"Input     was the bottleneck: {_faster_input(config, folder.read_overrides())}")
    log.info(f"Curves    {folder.figures / 'curves.png'}")
    log.info(f"Results   {folder.path / 'result.json'}, metrics.csv beside it")
    if config.callbacks.checkpoint.last or config.callbacks.checkpoint.best:
        log.info(f"Weights   {folder.checkpoints}")
    if wandb_run is not None:
        upload = sync_command(wandb_run)
        log.info(f"W&B       {f'offline; to upload: {upload}' if upload else wandb_run.url}")
    log.info(f"Next      {_next_step(result, config)}")


def _speed(result: dict[str, Any]) -> str:
    """Describe the rates of the steady steps, and what the first ones took."""
    first = f"compilation and the first steps took {result['startup_seconds']:.1f} s"
    if result["images_per_second"] is None:
        return f"too few steps to measure the speed; {first}"
    speed = (
        f"{format_speed(result['images_per_second'])} images/s,"
        f" {result['data_wait_fraction']:.0%} of the time waiting for data;"
        f" {result['model_flops_per_second'] / 1e9:,.0f} GFLOP/s"
    )
    if result["matrix_rate_fraction"] is not None:
        speed += f", {result['matrix_rate_fraction']:.0%} of a matrix product's rate"
    return f"{speed}; {first}"


def _next_step(result: dict[str, Any], config: TrainConfig) -> str:
    if result["warning"]:
        return result["warning"]
    if isinstance(config.model, ConvNetConfig):
        return f"with error bars: {command_for('train')} -m study=cifar_lrn    ReLU and tanh: study=figure1"
    if not isinstance(config.model, AlexNetConfig):
        return f"beside AlexNet: {command_for('train')} -m study=history    another network: model=resnet18"
    if config.model.lrn:
        return (
            f"one innovation off: {command_for('train')} model.lrn=false    real photographs: data=imagenette"
        )
    return "other innovations: model.dropout=0, model.activation=tanh, model.pooling=non_overlapping"


def _faster_input(config: TrainConfig, overrides: Sequence[str]) -> str:
    workers = f"raise data.workers (now {workers_per_device(config.data.workers, config.trainer)})"
    if pack_folder(config.data).is_dir():
        return workers
    typed = [override for override in overrides if override.startswith(("data=", "data."))]
    if not typed or any(override.startswith("experiment=") for override in overrides):
        typed = [f"data={config.data.name}", f"data.root={config.data.root}"]
    return f"decode once, {command_for('prepare')} {shlex.join(typed)}; or {workers}"
