"""Compare this project's input pipeline with torchvision's reference, in images a second and in one run.

    python benchmarks/input.py <folder with train/<class>/ and val/<class>/> [--workers 2] [--rounds 5]

Both deliver random 224 crops, half of them mirrored, in batches of 128; ours as uint8, which the device
then converts to floats and subtracts the mean from. The reference is that of torchvision's classification
training: ImageFolder, shorter side to 256, RandomCrop, RandomHorizontalFlip, ToTensor, Normalize, in a
DataLoader with as many worker processes as ours has threads. The pipelines take turns, so that a
machine that slows down slows all; the ratio is taken round by round. With `--busy` a thread of this process
computes in Python all the time, as one that launches a GPU's work does, and each of our pipelines is measured
once more with Python's own interval between threads.
"""

import argparse
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any
from unittest.mock import patch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

import torch
from hydra import compose, initialize_config_dir
from torch.utils.data import DataLoader
from torchvision import datasets, transforms

from alexnet.config import MeanKind, PrepareConfig, TrainConfig
from alexnet.config.arguments import quote_arguments
from alexnet.config.composition import register
from alexnet.config.reading import read_config
from alexnet.data import prefetch
from alexnet.data.augmentation import Augmentation, epoch_augmentation_params
from alexnet.data.loader import BatchLoader
from alexnet.data.loading import ImageData, load_image_data
from alexnet.data.pack_writer import make_pack
from alexnet.data.sampling import GlobalBatchSampler
from alexnet.data.statistics import color_axes, mean_image
from alexnet.paths import CONF

BATCH, CROP = 128, 224
USUAL_SECONDS, OUR_SECONDS = sys.getswitchinterval(), prefetch.SWITCH_SECONDS


def main() -> None:
    arguments = _arguments()
    with tempfile.TemporaryDirectory(dir=arguments.scratch) as folder:
        config = _config("train", TrainConfig, arguments.folder, f"data.cache={folder}/files").data
        pipelines: dict[str, Callable[[], Generator[Any]]] = {
            "reference": lambda: _reference(arguments.folder, arguments.workers),
        }
        files = load_image_data(config)
        images = len(files.train) + len(files.val)
        print(f"{images:,} images, {arguments.workers} workers, torch {torch.__version__}")
        sources = {"files": files}
        for kind in ("raw", "jpeg"):
            target = f"data.pack={folder}/{kind}"
            prepare = _config("prepare", PrepareConfig, arguments.folder, target, f"format={kind}")
            began = time.perf_counter()
            pack = make_pack(prepare)
            seconds = time.perf_counter() - began
            size = sum(file.stat().st_size for file in pack.folder.iterdir())
            print(
                f"packing {kind}: {images / seconds:,.0f} images/s, {size / images / 1000:,.1f} kB an image"
            )
            sources[f"{kind} pack"] = load_image_data(prepare.data)
        for name, data in sources.items():
            pipelines[name] = partial(_ours, data, config.augment, arguments.workers)
            if arguments.busy:
                pipelines[f"{name}, {1000 * USUAL_SECONDS:g} ms"] = pipelines[name]
        rates: dict[str, list[float]] = {name: [] for name in pipelines}
        for _ in range(arguments.rounds):
            for name, pipeline in pipelines.items():
                batches = pipeline()
                next(batches)  # starts the workers
                with _busy(arguments.busy, USUAL_SECONDS if name.endswith(" ms") else OUR_SECONDS):
                    rates[name].append(_rate(batches, arguments.seconds))
    print(f"{'':18}{'images/s: median':>18}{'min':>8}{'max':>8}{'ratio: median':>16}{'min':>7}{'max':>7}")
    for name, measured in rates.items():
        ratios = [a / b for a, b in zip(measured, rates["reference"], strict=True)]
        print(
            f"{name:18}{statistics.median(measured):18,.0f}{min(measured):8,.0f}{max(measured):8,.0f}"
            f"{statistics.median(ratios):16.1f}{min(ratios):7.1f}{max(ratios):7.1f}"
        )


def _config(name: str, schema: type[Any], root: Path, *overrides: str) -> Any:
    register(name, schema)
    given = [
        "data=folder",
        f"data.root={root.resolve()}",
        "data.augment.color=false",
        "data.max_unreadable=1",
    ]
    with initialize_config_dir(str(CONF), version_base="1.3"):
        raw = compose(name, quote_arguments([*given, *overrides], schema))
    return read_config(raw, schema)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--scratch", type=Path, help="where the packs are written temporarily")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--busy", action="store_true", help="beside a thread that computes in Python")
    parser.add_argument("--seconds", type=float, default=3.0, help="of each pipeline in each round")
    return parser.parse_args()


@contextmanager
def _busy(wanted: bool, interval: float) -> Iterator[None]:
    """Compute in another thread, if wanted, which takes turns with the others after `interval` seconds."""
    ended = not wanted

    def compute() -> None:
        while not ended:
            pass

    thread = threading.Thread(target=compute)
    sys.setswitchinterval(interval)
    thread.start()
    try:
        with patch.object(prefetch, "SWITCH_SECONDS", interval):  # each epoch sets it
            yield
    finally:
        ended = True
        thread.join()


def _rate(batches: Generator[Any], seconds: float) -> float:
    images, began = 0, time.perf_counter()
    for batch in batches:
        images += len(batch)
        if (passed := time.perf_counter() - began) >= seconds:
            break
    batches.close()
    return images / passed


def _reference(folder: Path, workers: int) -> Generator[Any]:
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
    while True:
        for batch, _ in DataLoader(images, BATCH, shuffle=True, num_workers=workers):
            yield batch


def _beginning_of(epoch: int) -> tuple[int, int]:
    """Return the position of an epoch's first batch."""
    return epoch, 0


def _ours(data: ImageData, augment: Any, workers: int) -> Generator[Any]:
    mean = mean_image(data.statistics, MeanKind.pixel)
    augmentation = Augmentation(augment, CROP, mean, color_axes(data.statistics, augment.color_scale))
    batches = GlobalBatchSampler(len(data.train), BATCH)
    for epoch in count():
        params = epoch_augmentation_params(0, epoch, len(data.train), 1)
        loader = BatchLoader(
            data.train, batches, size=mean.shape[-1], workers=workers, position=partial(_beginning_of, epoch)
        )
        for images, _, indices in loader:
            yield augmentation.crop_and_flip(images, params.of(indices))


if __name__ == "__main__":
    main()
