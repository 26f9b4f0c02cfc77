"""What it takes to open a data set, up to its first batch on the device."""

import json
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning import LightningModule, Trainer
from numpy.lib.format import open_memmap
from torch import Tensor, nn

from alexnet.choices import PackFormat
from alexnet.config import BenchmarkConfig
from alexnet.data.arrays import save_arrays
from alexnet.data.datamodule import ImageDataModule
from alexnet.data.dataset import load_image_data
from alexnet.data.places import PACK_VERSION
from alexnet.data.statistics import Statistics
from alexnet.training.devices import trainer_arguments, workers_per_device
from alexnet.training.flops import wait_for

TRAINING_IMAGES_PER_VAL_IMAGE = 25  # about ImageNet's


def write_empty_pack(folder: Path, images: int, config: BenchmarkConfig) -> None:
    """A raw pack of so many black training images; its pixels are a hole in a file and take no disk."""
    folder.mkdir()
    size = config.data.stored_size
    counts = {"train": images, "val": max(1, images // TRAINING_IMAGES_PER_VAL_IMAGE)}
    for name, count in counts.items():
        numbers = np.arange(count)
        np.save(folder / f"{name}_labels.npy", numbers % config.classes)
        np.save(folder / f"{name}_names.npy", np.char.add(f"{name}/".encode(), numbers.astype(np.bytes_)))
        open_memmap(folder / f"{name}_images.npy", "w+", np.uint8, (count, 3, size, size))
    statistics = Statistics(
        np.zeros((3, size, size), np.float32), np.eye(3, dtype=np.float32), np.ones(3, np.float32)
    )
    save_arrays(folder / "statistics.npz", statistics._asdict())
    manifest = {
        "version": PACK_VERSION,
        "format": PackFormat.raw.value,
        "images": counts,
        "classes": [f"class{number}" for number in range(config.classes)],
        "excluded": {},
        "unreadable": 0,
        "fingerprint": "",
        "root": str(folder),
        "seen": {},
    }
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")


def startup_seconds(config: BenchmarkConfig, pack: Path) -> float:
    """From a pack on disk to its first augmented batch on the device, the way of train.py.

    Neither the imports of libraries nor a network are in it. To be called once in a process.
    """
    first = _FirstBatch()
    began = time.perf_counter()
    data = replace(config.data, pack=str(pack))
    datamodule = ImageDataModule(
        load_image_data(data),
        data,
        crop=config.model.image_size,
        seed=config.seed,
        workers=workers_per_device(data.workers, config.trainer),
    )
    one = {"max_epochs": 1, "limit_train_batches": 1, "limit_val_batches": 0}
    trainer = Trainer(
        **trainer_arguments(config.trainer, config.strategy) | one,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
    )
    trainer.fit(first, datamodule)
    return first.came - began


class _FirstBatch(LightningModule):
    """In the place of a network: notes when its first batch came."""

    def __init__(self) -> None:
        super().__init__()
        self.came = 0.0
        self.weight = nn.Parameter(torch.zeros(()))

    def training_step(self, batch: Sequence[Tensor], batch_idx: int) -> Tensor:
        wait_for(self.device)
        self.came = time.perf_counter()
        return self.weight.square()

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters())
