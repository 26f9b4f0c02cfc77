"""Compare training convnet_13pct on CIFAR-10 with the same network in plain torch modules, in one run.

    python benchmarks/cifar.py [<folder with train/<class>/>] [key=value ...]

All keys are those of train.py; without a folder, CIFAR-10 is that of data=cifar10. Two ways to train take
turns, so that a machine that slows down slows both; the ratios are taken round by round.

ours       as train.py experiment=convnet_13pct: images in memory, cropped and flipped in batches
reference  torchvision's ImageFolder, RandomCrop, flip and a DataLoader with as many processes as ours has
           threads; the same layers from torch.nn in float32, with nn.Unfold for the locally connected ones;
           SGD with momentum

Neither validates.
"""

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

import torch
from end_to_end import WARM_UP, build_module, spread, train_on
from hydra import compose, initialize_config_dir
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torchvision import datasets, transforms

from alexnet.config import TrainConfig
from alexnet.config.arguments import quote_arguments
from alexnet.config.composition import register
from alexnet.config.reading import read_config
from alexnet.data.fetching import ensure_fetched
from alexnet.data.loading import load_image_data
from alexnet.hardware import retain_malloc
from alexnet.paths import CONF
from alexnet.runs.log import log_to_terminal
from alexnet.training.trainer_args import workers_per_device


def main() -> None:
    arguments, overrides = _arguments()
    log_to_terminal(quiet=False)  # without Lightning's messages
    config = _config(arguments.folder, overrides)
    if config.performance.retain_malloc:
        retain_malloc()  # of the whole process, the reference included
    data = load_image_data(config.data)
    folder = ensure_fetched(config.data, 1)
    workers = workers_per_device(config.data.workers, config.trainer)
    longest = len(data.train) // config.data.batch_size - WARM_UP
    if not 1 <= arguments.steps <= longest:
        raise SystemExit(f"--steps {arguments.steps}: expected 1 to {longest}, as an epoch has.")
    print(
        f"{len(data.train):,} images, batches of {config.data.batch_size}, {arguments.steps} steps a round,"
        f" {torch.get_num_threads()} threads, torch {torch.__version__}"
    )
    rates: dict[str, list[float]] = {"ours": [], "reference": []}
    for _ in range(arguments.rounds):
        rates["ours"].append(train_on(build_module(config, data), config, data, arguments.steps))
        rates["reference"].append(_reference(config, folder / "train", arguments.steps, workers))
    print(f"{'':10}{'images/s: median (min-max)':>30}{'ours / this: median (min-max)':>34}")
    for name, measured in rates.items():
        ratios = [ours / other for ours, other in zip(rates["ours"], measured, strict=True)]
        print(f"{name:10}{spread(measured, ',.0f'):>30}{spread(ratios, '.2f'):>34}")


def _arguments() -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=40, help="measured of each way in each round")
    given, overrides = parser.parse_known_args()
    if given.folder is not None and "=" in str(given.folder):
        overrides, given.folder = [str(given.folder), *overrides], None
    return given, overrides


def _config(folder: Path | None, overrides: list[str]) -> TrainConfig:
    register("train", TrainConfig)
    given = ["experiment=convnet_13pct", *([f"data.root={folder.resolve()}"] if folder else []), *overrides]
    with initialize_config_dir(str(CONF), version_base="1.3"):
        raw = compose("train", quote_arguments(given, TrainConfig))
    return read_config(raw, TrainConfig)


class _Local(nn.Module):
    """A locally connected layer as one would write it: unfold, and a sum over the patches."""

    def __init__(self, channels: int, filters: int, side: int) -> None:
        super().__init__()
        self.unfold = nn.Unfold(3, padding=1)
        self.weight = nn.Parameter(torch.randn(filters, channels * 9, side * side) * 0.04)
        self.bias = nn.Parameter(torch.zeros(filters, side, side))
        self.side = side

    def forward(self, x: Tensor) -> Tensor:
        y = torch.einsum("nkl,okl->nol", self.unfold(x), self.weight)
        return y.unflatten(2, (self.side, self.side)) + self.bias


def plain_network() -> nn.Module:
    """Build convnet_13pct from torch.nn; its initial weights do not matter here."""
    return nn.Sequential(
        *(nn.Conv2d(3, 64, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, stride=2, ceil_mode=True)),
        *(nn.Conv2d(64, 64, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, stride=2, ceil_mode=True)),
        *(_Local(64, 32, 6), nn.ReLU(), _Local(32, 32, 6), nn.ReLU()),
        *(nn.Flatten(), nn.Linear(1152, 10)),
    )


def _reference(config: TrainConfig, folder: Path, steps: int, workers: int) -> float:
    """Train as one would with torchvision; return images a second."""
    pipeline = transforms.Compose(
        [
            transforms.RandomCrop(24),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            transforms.Normalize((0.4913, 0.4821, 0.4465), (1 / 255, 1 / 255, 1 / 255)),
        ]
    )
    images = datasets.ImageFolder(str(folder), pipeline)
    loader = DataLoader(images, config.data.batch_size, shuffle=True, num_workers=workers)
    network, criterion = plain_network(), nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(network.parameters(), 0.001, momentum=0.9, weight_decay=0.004)
    began = 0.0
    for step, (batch, labels) in enumerate(loader):
        optimizer.zero_grad()
        criterion(network(batch), labels).backward()
        optimizer.step()
        if step + 1 == WARM_UP:
            began = time.perf_counter()
        if step + 1 == WARM_UP + steps:
            break
    return steps * config.data.batch_size / (time.perf_counter() - began)


if __name__ == "__main__":
    main()
