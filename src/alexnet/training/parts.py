"""What a run is made of, and whether that is what an earlier start of it was made of."""

import json
from dataclasses import dataclass
from pathlib import Path

from lightning import seed_everything

from alexnet.data.datamodule import ImageDataModule
from alexnet.data.dataset import ImageData, load_image_data
from alexnet.errors import UserError
from alexnet.model.build import build_network
from alexnet.model.classifier import Classifier
from alexnet.run.checkpoint_file import check_fits, read_checkpoint
from alexnet.run.pretrained import start_from
from alexnet.run.request import Request
from alexnet.training.devices import resolve_accelerator, workers_per_device
from alexnet.training.flops import training_flops
from alexnet.training.learning_guard import LearningGuard
from alexnet.training.module import AlexNetModule
from alexnet.training.speed import accelerate
from alexnet.training.throughput import Throughput


@dataclass(frozen=True)
class Parts:
    """What a run is made of."""

    data: ImageData
    network: Classifier
    module: AlexNetModule
    datamodule: ImageDataModule
    throughput: Throughput
    guard: LearningGuard
    begun_from: str | None  # whose weights the network had, in words


def build(request: Request) -> Parts:
    """The parts of a run, from its configuration. Raises `UserError` for what cannot be built."""
    config = request.config
    seed_everything(config.seed, verbose=False)
    data = load_image_data(config.data)
    classes = len(data.classes)
    network = build_network(config.model, classes)
    source = config.model.pretrained
    begun_from = start_from(network, source, data.classes) if source and not request.previous else None
    if config.trainer.precision == "64-true":
        network.double()  # Lightning would load a checkpoint's weights first, in float32
    accelerate(network, config.speed, resolve_accelerator(config.trainer.accelerator), config.strategy.name)
    workers = workers_per_device(config.data.workers, config.trainer)
    return Parts(
        data,
        network,
        AlexNetModule(network, classes, config.optimizer, config.scheduler, request.resolved),
        ImageDataModule(data, config.data, crop=config.model.image_size, seed=config.seed, workers=workers),
        Throughput(training_flops(network)),
        LearningGuard(config.callbacks.learning_guard, classes),
        begun_from,
    )


def last_checkpoint(previous: Path) -> Path | None:
    """What to go on from; None for a run that was stopped before it had saved anything."""
    last = previous / "checkpoints" / "last.ckpt"
    return last if last.exists() else None


def check_goes_on(previous: Path, checkpoint: Path | None, parts: Parts) -> None:
    """Raise `UserError` where the run would not be the same any more."""
    try:
        before = json.loads((previous / "environment.json").read_text(encoding="utf-8"))["data_fingerprint"]
    except (OSError, ValueError, KeyError, TypeError):
        before = None  # stopped before it had begun
    if before not in (None, parts.data.fingerprint):
        raise UserError(
            f"{previous}: this run was trained on other images, or other readable ones, than are now in"
            f" {parts.data.origin}. Bring them back, or start a new run."
        )
    if checkpoint is not None:
        ours = {f"network.{name}": value for name, value in parts.network.state_dict().items()}
        check_fits(checkpoint, read_checkpoint(checkpoint), ours)
