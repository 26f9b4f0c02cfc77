"""The components of a run, built from its configuration."""

import os
from dataclasses import dataclass
from pathlib import Path

import torch
from lightning import seed_everything

from alexnet.config import Strategy
from alexnet.data.datamodule import ImageDataModule
from alexnet.data.loading import ImageData, load_image_data
from alexnet.data.resident import check_fits
from alexnet.distributed.parallelize import check_divisible
from alexnet.errors import UserError
from alexnet.files import read_json
from alexnet.hardware import resolve_accelerator, resolve_device
from alexnet.models.base import ImageClassifier
from alexnet.models.build import build_network
from alexnet.models.flops import training_flops
from alexnet.ranks import local_rank
from alexnet.runs.checkpoint_io import check_resumable, read_checkpoint
from alexnet.runs.teacher import Teacher, is_published, load_teacher
from alexnet.runs.trained_model import load_pretrained
from alexnet.terminal import counted
from alexnet.training.compile import apply_performance_options
from alexnet.training.module import ClassificationModule
from alexnet.training.request import TrainRequest
from alexnet.training.trainer_args import copies_of_network, workers_per_device

TEACHER = "ALEXNET_TEACHER"  # environment variable, conf/loss/distillation.yaml


@dataclass(frozen=True)
class Components:
    """What a run trains, and on what."""

    data: ImageData
    network: ImageClassifier
    module: ClassificationModule
    datamodule: ImageDataModule
    flops: int  # of training on one image
    init_from: str | None  # the source of the pretrained weights, in words


def build_components(request: TrainRequest) -> Components:
    """Build the components of a run. Raises `UserError` for what cannot be built."""
    config = request.config
    seed_everything(config.seed, verbose=False)
    data = load_image_data(config.data)
    _check_each_copy_has_images(data, copies_of_network(config.trainer, config.strategy))
    if config.data.resident:
        device = resolve_device(config.trainer.accelerator)
        if device.type == "cuda":  # this process's, as Lightning chooses it
            device = torch.device("cuda", local_rank())
        check_fits(len(data.train) + len(data.val), config.data.resize_size, device)
    classes = len(data.classes)
    network = build_network(config.model, classes)
    if config.strategy.name is Strategy.model_parallel:
        check_divisible(network)
    source = config.model.pretrained
    init_from = load_pretrained(network, source, data.classes) if source and not request.previous else None
    if config.trainer.precision == "64-true":
        network.double()  # Lightning would load a checkpoint's weights first, in float32
    apply_performance_options(
        network, config.performance, resolve_accelerator(config.trainer.accelerator), config.strategy.name
    )
    workers = workers_per_device(config.data.workers, config.trainer)
    datamodule = ImageDataModule(
        data, config.data, crop=config.model.image_size, seed=config.seed, workers=workers
    )
    return Components(
        data,
        network,
        ClassificationModule(
            network,
            classes,
            config.optimizer,
            config.scheduler,
            config.loss,
            request.resolved,
            _load_teacher(request, datamodule),
        ),
        datamodule,
        training_flops(network),
        init_from,
    )


def _load_teacher(request: TrainRequest, datamodule: ImageDataModule) -> Teacher | None:
    """Load the loss's teacher, if it has one. Raises `UserError` for a download that nobody asked for."""
    source = request.config.loss.teacher_source()
    if source is None:
        return None
    typed = any(item.startswith("loss.teacher=") for item in request.overrides)
    if request.previous and is_published(source) and not typed and os.environ.get(TEACHER) != source:
        raise UserError(
            f"resume={request.previous}: its teacher, {source}, has to be downloaded. To allow this, set the"
            f" environment variable {TEACHER}={source}."
        )
    return load_teacher(source, datamodule.data.classes, datamodule.augmentation)


def _check_each_copy_has_images(data: ImageData, copies: int) -> None:
    """Raise `UserError` if a step would leave one of the copies of the network without an image."""
    for images, what in ((data.train, "training"), (data.val, "validation")):
        if len(images) < copies:
            raise UserError(
                f"{data.origin}: {counted(len(images), f'{what} image')} for {copies} copies"
                " of the network. Each needs one at least: train on fewer devices (trainer.devices)."
            )


def last_checkpoint(previous: Path) -> Path | None:
    """Return the checkpoint to resume from; None for a run that was stopped before it had saved one."""
    last = previous / "checkpoints" / "last.ckpt"
    return last if last.exists() else None


def check_same_run(previous: Path, checkpoint: Path | None, components: Components) -> None:
    """Raise `UserError` unless images and network are those that the run in `previous` was trained with."""
    # None of a run that was stopped before it was written
    before = read_json(previous / "environment.json").get("data_fingerprint")
    if before not in (None, components.data.fingerprint):
        raise UserError(
            f"{previous}: this run was trained on images that differ from those now in"
            f" {components.data.origin}. Restore them, or start a new run."
        )
    if checkpoint is not None:
        check_resumable(checkpoint, read_checkpoint(checkpoint), components.module.state_dict())
