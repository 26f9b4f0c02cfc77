"""Scaling of the time of a step with the batch size, and of start-up with the size of the data set."""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from lightning import LightningModule, Trainer
from numpy.lib.format import open_memmap
from torch import Tensor, nn

from alexnet.benchmark.measure import step_seconds
from alexnet.benchmark.processes import RunInProcess
from alexnet.benchmark.results import Point, Spread
from alexnet.config import BenchmarkConfig, PackFormat
from alexnet.data.datamodule import ImageDataModule
from alexnet.data.loading import load_image_data
from alexnet.data.locations import PACK_VERSION
from alexnet.data.statistics import Statistics
from alexnet.errors import UserError
from alexnet.files import save_npz
from alexnet.hardware import synchronize
from alexnet.training.trainer_args import trainer_arguments, workers_per_device


def measure_batch_sizes(
    config: BenchmarkConfig, run_in_process: RunInProcess, advance: Callable[[int], None]
) -> list[Point]:
    """Measure a step of this program at each batch size; the sizes take turns."""

    def seconds(size: int) -> float:
        return run_in_process(step_seconds, replace(config, data=replace(config.data, batch_size=size)))

    return _points(config.scaling.batch_sizes, config.rounds, seconds, advance)


def measure_data_sizes(
    config: BenchmarkConfig, run_in_process: RunInProcess, advance: Callable[[int], None]
) -> list[Point]:
    """Measure start-up with each data set size; the sizes take turns.

    Raises `UserError` if the files of a data set cannot be written.
    """
    sizes = config.scaling.data_sizes
    with TemporaryDirectory() as scratch:
        packs = {size: Path(scratch, str(size)) for size in sizes}
        try:
            for size, pack in packs.items():
                write_empty_pack(pack, size, config)
        except OSError as error:
            raise UserError(
                f"{scratch}: cannot hold a data set of {size:,} images ({error.strerror}). Set another folder"
                " (TMPDIR=...), or leave this out: scaling.data_sizes=[]"
            ) from error
        return _points(
            sizes, config.rounds, lambda size: run_in_process(startup_seconds, config, packs[size]), advance
        )


def _points(
    sizes: list[int], rounds: int, seconds: Callable[[int], float], advance: Callable[[int], None]
) -> list[Point]:
    measured: dict[int, list[float]] = {size: [] for size in sizes}
    for _ in range(rounds):
        for size, values in measured.items():
            values.append(seconds(size))
            advance(1)
    return [Point(size, Spread.of(values)) for size, values in measured.items()]


TRAINING_IMAGES_PER_VAL_IMAGE = 25  # about ImageNet's


def write_empty_pack(folder: Path, images: int, config: BenchmarkConfig) -> None:
    """Write a raw pack of `images` black training images, whose pixels are a hole and take no disk space."""
    folder.mkdir()
    size = config.data.resize_size
    counts = {"train": images, "val": max(1, images // TRAINING_IMAGES_PER_VAL_IMAGE)}
    for name, count in counts.items():
        numbers = np.arange(count)
        np.save(folder / f"{name}_labels.npy", numbers % config.classes)
        np.save(folder / f"{name}_names.npy", np.char.add(f"{name}/".encode(), numbers.astype(np.bytes_)))
        open_memmap(folder / f"{name}_images.npy", "w+", np.uint8, (count, 3, size, size))
    statistics = Statistics(
        np.zeros((3, size, size), np.float32), np.eye(3, dtype=np.float32), np.ones(3, np.float32)
    )
    save_npz(folder / "statistics.npz", statistics._asdict())
    manifest = {
        "version": PACK_VERSION,
        "format": PackFormat.raw.value,
        "images": counts,
        "classes": [f"class{number}" for number in range(config.classes)],
        "excluded": {},
        "damaged": {},
        "unreadable": 0,
        "fingerprint": "",
        "val_source": "",
        "held_out": False,
        "root": str(folder),
        "seen": {},
    }
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")


def startup_seconds(config: BenchmarkConfig, pack: Path) -> float:
    """Return the seconds from a pack on disk to its first augmented batch on the device, as in train.py.

    The time includes neither the imports of libraries nor a network. Call this once in a process.
    """
    module = _FirstBatch()
    began = time.perf_counter()
    data = replace(config.data, pack=str(pack))
    datamodule = ImageDataModule(
        load_image_data(data),
        data,
        crop=config.model.image_size,
        seed=config.seed,
        workers=workers_per_device(data.workers, config.trainer),
    )
    one_batch = {"max_epochs": 1, "limit_train_batches": 1, "limit_val_batches": 0}
    trainer = Trainer(
        **trainer_arguments(config.trainer, config.strategy) | one_batch,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
    )
    trainer.fit(module, datamodule)
    return module.arrival - began


class _FirstBatch(LightningModule):
    """Stand-in for a network that records when its first batch arrives."""

    def __init__(self) -> None:
        super().__init__()
        self.arrival = 0.0
        self.weight = nn.Parameter(torch.zeros(()))

    def training_step(self, batch: Sequence[Tensor], batch_idx: int) -> Tensor:
        synchronize(self.device)
        self.arrival = time.perf_counter()
        return self.weight.square()

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters())
