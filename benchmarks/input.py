"""Images a second of this project's input and of torchvision's reference pipeline, in one run.

    python benchmarks/input.py <folder with train/<class>/ and val/<class>/> [--workers 2] [--rounds 5]

Both deliver random 224 crops, half of them mirrored, in batches of 128, with as many workers;
ours as uint8, ready to be copied to a device, where the mean is subtracted.
The reference is that of torchvision's classification training: ImageFolder, shorter side to 256,
RandomCrop, RandomHorizontalFlip, ToTensor, Normalize. The pipelines take turns, so that a machine
that slows down slows both; the ratio is taken round by round.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from torch.utils.data import DataLoader
from torchvision import datasets, transforms

from alexnet import cli
from alexnet.choices import MeanKind
from alexnet.config import TrainConfig
from alexnet.data.augmentation import Augmentation, color_axes, mean_image
from alexnet.data.dataset import ImageData, load_image_data
from alexnet.data.order import Draws, GlobalBatches, epoch_draws
from alexnet.data.pack import make_pack
from alexnet.paths import CONF

BATCH, CROP = 128, 224


def main() -> None:
    arguments = _arguments()
    with tempfile.TemporaryDirectory() as folder:
        cli.register("train", TrainConfig)
        with initialize_config_dir(str(CONF), version_base="1.3"):
            raw = compose("train", ["data=folder", "data.augment.color=false"])
        OmegaConf.update(raw, "data.root", str(arguments.folder.resolve()))
        OmegaConf.update(raw, "data.cache", folder)
        config = cli.read_config(raw, TrainConfig).data
        files = load_image_data(config)
        began = time.perf_counter()
        make_pack(config)
        seconds = time.perf_counter() - began
        packed = load_image_data(config)
        count = len(files.train) + len(files.val)
        print(f"{count:,} images, {arguments.workers} workers, torch {torch.__version__}")
        print(f"packing: {count / seconds:,.0f} images/s, once")
        pipelines: dict[str, Callable[[], Iterable[Any]]] = {
            "reference": lambda: _reference(arguments.folder, arguments.workers),
            "files": lambda: _ours(files, config.augment, arguments.workers),
            "pack": lambda: _ours(packed, config.augment, arguments.workers),
        }
        rates: dict[str, list[float]] = {name: [] for name in pipelines}
        for _ in range(arguments.rounds):
            for name, pipeline in pipelines.items():
                rates[name].append(_rate(pipeline(), arguments.batches))
    print(f"{'':12}{'images/s: median':>18}{'min':>8}{'max':>8}{'ratio: median':>16}{'min':>7}{'max':>7}")
    for name, measured in rates.items():
        ratios = [a / b for a, b in zip(measured, rates["reference"], strict=True)]
        print(
            f"{name:12}{statistics.median(measured):18,.0f}{min(measured):8,.0f}{max(measured):8,.0f}"
            f"{statistics.median(ratios):16.1f}{min(ratios):7.1f}{max(ratios):7.1f}"
        )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batches", type=int, default=16, help="batches in each round")
    return parser.parse_args()


def _rate(batches: Iterable[Any], count: int) -> float:
    iterator = iter(batches)
    next(iterator)  # starts the workers
    began = time.perf_counter()
    images = sum(len(batch) for batch in islice(iterator, count))
    return images / (time.perf_counter() - began)


def _reference(folder: Path, workers: int) -> Iterable[Any]:
    pipeline = transforms.Compose(
        [
            transforms.Resize(256),
            transforms.RandomCrop(CROP),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        ]
    )
    images = datasets.ImageFolder(str(folder / "train"), pipeline)
    for batch, _ in DataLoader(images, BATCH, shuffle=True, num_workers=workers, drop_last=True):
        yield batch


def _ours(data: ImageData, augment: Any, workers: int) -> Iterable[Any]:
    mean = mean_image(data.statistics, MeanKind.pixel)
    augmentation = Augmentation(augment, CROP, mean, color_axes(data.statistics, augment.color_scale))
    batches = GlobalBatches(len(data.train), BATCH)
    draws = epoch_draws(0, 0, len(data.train), 1)
    for squares, _, indices in DataLoader(data.train, batch_sampler=batches, num_workers=workers):
        rows = indices.numpy()
        yield augmentation.crop_and_flip(squares, Draws(*(table[rows] for table in draws)))


if __name__ == "__main__":
    main()
