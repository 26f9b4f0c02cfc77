"""Compare training from a pack with training on tensors in memory and with torchvision's loop, in one run.

    python benchmarks/end_to_end.py <folder with train/<class>/ and val/<class>/> [key=value ...]

All keys are those of train.py: data.batch_size=128 model.columns=2 trainer.accelerator=gpu. Three ways to
train take turns, so that a machine that slows down slows all; the ratios are taken round by round.

pack       as train.py: uint8 images from a raw pack; crops, flips and colour noise on the device
memory     the same network, loss, metrics and update on one augmented batch that stays on the device
reference  torchvision's classification training (its references/classification): ImageFolder, a DataLoader
           with as many processes as ours has threads, RandomResizedCrop, flip, normalise; its AlexNet,
           which is smaller, SGD with momentum, in the same precision by autocast

None of them validates. The hours are those of 90 epochs of 1,281,167 images at the rate.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

import torch
from hydra import compose, initialize_config_dir
from lightning import Callback, LightningModule, Trainer
from torch import nn
from torch.utils.data import DataLoader
from torchvision import datasets, transforms
from torchvision.models import alexnet

from alexnet.config import PackFormat, PrepareConfig, TrainConfig
from alexnet.config.arguments import quote_arguments
from alexnet.config.composition import register
from alexnet.config.reading import read_config
from alexnet.data.datamodule import MIXED, ImageDataModule
from alexnet.data.loading import ImageData, load_image_data
from alexnet.data.pack_writer import make_pack
from alexnet.hardware import resolve_accelerator, resolve_device, resolve_precision, retain_malloc
from alexnet.models.build import build_network
from alexnet.paths import CONF
from alexnet.runs.log import log_to_terminal
from alexnet.training.compile import apply_performance_options
from alexnet.training.module import ClassificationModule
from alexnet.training.trainer_args import trainer_arguments, workers_per_device

IMAGENET = 1_281_167
EPOCHS = 90
WARM_UP = 3  # steps


def main() -> None:
    arguments, overrides = _arguments()
    log_to_terminal(quiet=False)  # without Lightning's messages
    with tempfile.TemporaryDirectory(dir=arguments.scratch) as scratch:
        config = _config(arguments.folder, scratch, overrides)
        if config.performance.retain_malloc:
            retain_malloc()  # of the whole process, the reference included
        make_pack(PrepareConfig(config.data, PackFormat.raw, 90))
        data = load_image_data(config.data)
        steps = min(arguments.steps, -(-len(data.train) // config.data.batch_size) - WARM_UP)
        if steps < 1:
            raise SystemExit(
                f"{len(data.train):,} images are too few for batches of {config.data.batch_size}."
            )
        ways: dict[str, Callable[[], float]] = {
            "pack": lambda: train_on(build_module(config, data), config, data, steps),
            "memory": lambda: train_on(build_module(config, data), config, None, steps),
            "reference": lambda: _reference(config, arguments.folder, steps),
        }
        print(
            f"{len(data.train):,} images, batches of {config.data.batch_size}, {steps} steps a round,"
            f" {resolve_accelerator(config.trainer.accelerator)}, {resolve_precision(config.trainer)},"
            f" torch {torch.__version__}"
        )
        rates: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(arguments.rounds):
            for name, way in ways.items():
                rates[name].append(way())
    print(f"{'':10}{'images/s: median (min-max)':>30}{'pack / this: median (min-max)':>34}{'hours':>9}")
    for name, measured in rates.items():
        ratios = [pack / other for pack, other in zip(rates["pack"], measured, strict=True)]
        hours = EPOCHS * IMAGENET / statistics.median(measured) / 3600
        print(f"{name:10}{spread(measured, ',.0f'):>30}{spread(ratios, '.3f'):>34}{hours:9,.1f}")


def spread(values: list[float], form: str) -> str:
    """Return median, least and greatest of some values as text."""
    median, least, most = statistics.median(values), min(values), max(values)
    return f"{median:{form}} ({least:{form}}-{most:{form}})"


def _arguments() -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--scratch", type=Path, help="where the pack is written temporarily")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=30, help="measured of each way in each round")
    return parser.parse_known_args()


def _config(folder: Path, scratch: str, overrides: list[str]) -> TrainConfig:
    register("train", TrainConfig)
    given = ["data=folder", f"data.root={folder.resolve()}", f"data.pack={scratch}/pack"]
    given += [f"data.cache={scratch}/cache", "data.max_unreadable=1", *overrides]
    with initialize_config_dir(str(CONF), version_base="1.3"):
        raw = compose("train", quote_arguments(given, TrainConfig))
    return read_config(raw, TrainConfig)


class _Clock(Callback):
    """Timer of the steps that follow the first few."""

    def __init__(self, steps: int) -> None:
        self.steps, self.seconds = steps, 0.0

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if batch_idx + 1 == WARM_UP:
            _synchronize(pl_module.device)
            self.seconds = -time.perf_counter()
        if batch_idx + 1 == WARM_UP + self.steps:
            _synchronize(pl_module.device)
            self.seconds += time.perf_counter()


class _RepeatedBatch:
    """Loader that yields the same batch again and again."""

    def __init__(self, batch: Any, count: int) -> None:
        self.batch, self.count = batch, count

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[Any]:
        return (self.batch for _ in range(self.count))


def build_module(config: TrainConfig, data: ImageData) -> ClassificationModule:
    """Build what train.py trains."""
    torch.manual_seed(config.seed)
    network = build_network(config.model, len(data.classes))
    apply_performance_options(
        network, config.performance, resolve_accelerator(config.trainer.accelerator), config.strategy.name
    )
    return ClassificationModule(
        network, len(data.classes), config.optimizer, config.scheduler, config.loss, {}
    )


def train_on(module: ClassificationModule, config: TrainConfig, data: ImageData | None, steps: int) -> float:
    """Train as train.py does, without data on one batch on the device; return images a second."""
    clock = _Clock(steps)
    limits = {"max_epochs": 1, "limit_train_batches": WARM_UP + steps, "limit_val_batches": 0}
    trainer = Trainer(
        **trainer_arguments(config.trainer, config.strategy) | limits,
        callbacks=[clock],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        num_sanity_val_steps=0,
    )
    if data is None:
        side = config.model.image_size
        size = (config.data.batch_size, 3, side, side)
        device = trainer.strategy.root_device
        augmented = (torch.randn(size) * 60).to(device, MIXED.get(str(trainer.precision)))
        batch = (augmented, *(torch.zeros(size[0], dtype=torch.int64, device=device),) * 2)
        trainer.fit(module, _RepeatedBatch(batch, WARM_UP + steps))
    else:
        workers = workers_per_device(config.data.workers, config.trainer)
        images = ImageDataModule(
            data, config.data, crop=config.model.image_size, seed=config.seed, workers=workers
        )
        trainer.fit(module, images)
    return steps * config.data.batch_size / clock.seconds


def _reference(config: TrainConfig, folder: Path, steps: int) -> float:
    """Train as torchvision's reference does; return images a second."""
    pipeline = transforms.Compose(
        [
            transforms.RandomResizedCrop(224),
            transforms.RandomHorizontalFlip(),
            transforms.PILToTensor(),
            transforms.ConvertImageDtype(torch.float),
            transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        ]
    )
    images = datasets.ImageFolder(str(folder / "train"), pipeline)
    device = resolve_device(config.trainer.accelerator)
    workers = workers_per_device(config.data.workers, config.trainer)
    pinned = device.type == "cuda"
    loader = DataLoader(images, config.data.batch_size, shuffle=True, num_workers=workers, pin_memory=pinned)
    network = alexnet(num_classes=len(images.classes)).to(device)
    optimizer = torch.optim.SGD(network.parameters(), 0.01, momentum=0.9, weight_decay=1e-4)
    criterion = nn.CrossEntropyLoss()
    bfloat16 = "bf16" in resolve_precision(config.trainer)
    precision = torch.autocast(device.type, torch.bfloat16) if bfloat16 else nullcontext()
    began = 0.0
    for step, (image, target) in enumerate(_repeat(loader)):
        if step == WARM_UP:
            _synchronize(device)
            began = time.perf_counter()
        if step == WARM_UP + steps:
            break
        image, target = image.to(device, non_blocking=True), target.to(device, non_blocking=True)
        with precision:
            loss = criterion(network(image), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    _synchronize(device)
    return steps * config.data.batch_size / (time.perf_counter() - began)


def _repeat(loader: DataLoader[Any]) -> Iterator[Any]:
    while True:
        yield from loader


def _synchronize(device: torch.device) -> None:
    if device.type != "cpu":
        torch.accelerator.synchronize()


if __name__ == "__main__":
    main()
