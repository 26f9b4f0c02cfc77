"""What a run prints: the plan before, the outcome after."""

import logging
from typing import Any

from lightning.pytorch.loggers import WandbLogger
from torch import nn

from alexnet.config import AlexNetConfig, TrainConfig
from alexnet.data.loading import ImageData
from alexnet.data.locations import pack_folder
from alexnet.distributed.column_summary import Column
from alexnet.hardware import resolve_accelerator, resolve_precision
from alexnet.runs.folder import RunFolder
from alexnet.runs.results import count_parameters
from alexnet.runs.tracking import upload_command
from alexnet.terminal import duration, format_bytes
from alexnet.training.trainer_args import copies_of_network, workers_per_device

log = logging.getLogger(__name__)
WORTH_ADVICE = 60  # seconds that a run takes
OUTCOMES = {"failed": "failed", "interrupted": "was interrupted"}


def print_plan(
    config: TrainConfig, data: ImageData, network: nn.Module, folder: RunFolder, init_from: str | None
) -> None:
    """What is about to happen, before it does."""
    model, trainer = config.model, config.trainer
    said = "".join(f", {feature}" for feature in model.features)
    devices = trainer.devices * trainer.num_nodes
    each = config.data.batch_size // copies_of_network(trainer, config.strategy)
    split = f" ({devices} devices, {each} images each)" if devices > 1 else ""
    log.info(f"Model     {model.name}: {count_parameters(network):,} parameters{said}")
    if init_from:
        log.info(f"Begins    with the weights of {init_from}")
    if model.freeze:
        log.info(f"Frozen    {', '.join(model.freeze)}")
    print_data(config.data.name, data)
    log.info(
        f"Training  {trainer.max_epochs} epochs, global batch {config.data.batch_size}{split}, learning rate"
        f" {config.optimizer.lr:g}, {resolve_accelerator(trainer.accelerator)},"
        f" {resolve_precision(trainer)}, seed {config.seed}"
    )
    print_folder(folder, data)


def print_data(name: str, data: ImageData) -> None:
    """Which images a run is about."""
    set_aside = f"; {len(data.excluded)} files set aside" if data.excluded else ""
    log.info(
        f"Data      {name}: {len(data.train):,} training and {len(data.val):,} validation images"
        f" of {len(data.classes)} classes, from {data.origin}{set_aside}"
    )


def print_folder(folder: RunFolder, data: ImageData) -> None:
    """Where a run writes, and which files are set aside."""
    log.info(f"Folder    {folder.path}")
    for path, reason in list(data.excluded.items())[:5]:
        log.warning(f"Set aside {path}: {reason}")
    if len(data.excluded) > 5:
        log.warning(f"All {len(data.excluded)} files set aside: {folder.path / 'excluded_files.csv'}")


def print_placement(columns: list[Column], copies: int) -> None:
    """What a device holds and sends, where each has a column, or `copies` of them share one."""
    held = sum(layer.parameters for layer in columns[0])  # the first device has the most of a shared one
    sent = format_bytes(sum(layer.sent for layer in columns[0]))
    shared = f"each column shared by {copies}: up to" if copies > 1 else "a column on each:"
    log.info(
        f"Placement {len(columns) * copies} devices, {shared} {held:,} parameters a device,"
        f" {sent} an image sent to the other column in the forward pass"
    )


def print_outcome(
    result: dict[str, Any], folder: RunFolder, logger: WandbLogger | None, config: TrainConfig
) -> None:
    """How it went, where everything is, what to try next."""
    log.info("")
    if result["status"] != "completed":
        log.error(f"The run {OUTCOMES[result['status']]}. What there is of it: {folder.path}")
        return
    log.info(
        f"Done in {duration(result['wall_seconds'])}: {result['images_per_second']:.3g} images/s,"
        f" {result['data_wait_fraction']:.0%} of the time waiting for data;"
        f" {result['model_flops_per_second'] / 1e9:,.0f} GFLOP/s, {result['matrix_rate_fraction']:.0%} of a"
        " matrix product's"
    )
    print_validation_error(result)
    if result["input_bound"] and result["wall_seconds"] > WORTH_ADVICE:
        log.info(f"Input     is what the network waited for: {_faster_input(config)}")
    log.info(f"Curves    {folder.figures / 'curves.png'}")
    log.info(f"Results   {folder.path / 'result.json'}, metrics.csv beside it")
    log.info(f"Weights   {folder.checkpoints}")
    if logger is not None:
        upload = upload_command(logger)
        log.info(f"W&B       {f'offline; to upload: {upload}' if upload else logger.experiment.url}")
    log.info(f"Next      {_next_step(result, config)}")


def print_validation_error(result: dict[str, Any]) -> None:
    """What came of a run, where it has been validated, beside what guessing gives."""
    val = result.get("val", {})
    if "top1_error" in val:
        guessing = 100 * (1 - 1 / result["classes"])
        top5 = f", top-5 {val['top5_error']:.1f}%" if "top5_error" in val else ""
        log.info(f"Validation error: top-1 {val['top1_error']:.1f}%{top5} (guessing: top-1 {guessing:.1f}%)")


def _next_step(result: dict[str, Any], config: TrainConfig) -> str:
    if result["warning"]:
        return result["warning"]
    if not isinstance(config.model, AlexNetConfig):
        return "beside AlexNet: python src/train.py -m study=history    another network: model=resnet18"
    if config.model.lrn:
        return "one innovation off: python src/train.py model.lrn=false    real photographs: data=imagenette"
    return "other innovations: model.dropout=0, model.activation=tanh, model.pooling=non_overlapping"


def _faster_input(config: TrainConfig) -> str:
    workers = f"raise data.workers (now {workers_per_device(config.data.workers, config.trainer)})"
    if pack_folder(config.data).is_dir():
        return workers
    command = f"python src/prepare.py data={config.data.name} data.root={config.data.root}"
    return f"decode once, {command}; or {workers}"
