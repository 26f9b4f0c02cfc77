"""Compare step time, memory and communication of each placement of a network, in one run.

    python benchmarks/placement.py [--width 1] [--batch 128] [--steps 10] [--rounds 3]

The network has two columns and 1000 classes; a step is a forward pass, a backward pass and an
update, on images that are already on the device; the global batch is the same everywhere. The
placements take turns, each in processes of its own, so that a machine that slows down slows all; the
ratio, the single device's time over the placement's, is taken round by round. Without CUDA each device,
also the single one, is a process of one thread; if there are more of them than cores, they share the cores.

held: weights, gradients and the optimiser's state on a device. peak: the most memory that its tensors
took; on the CPU, what its process took beyond its start. sent: bytes that a device sends in a step,
as `CommVolumeMode` counts them. Where devices differ, the largest number is shown.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

import torch
from hydra import compose, initialize_config_dir
from torch import Tensor, distributed, multiprocessing, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor
from torch.multiprocessing.spawn import start_processes
from torch.nn.functional import cross_entropy
from torch.nn.parallel import DistributedDataParallel

from alexnet.config import TrainConfig
from alexnet.config.composition import register
from alexnet.config.reading import read_config
from alexnet.distributed.comm_volume import CommVolumeMode
from alexnet.distributed.parallelize import parallelize
from alexnet.hardware import peak_memory_mb
from alexnet.models.alexnet import AlexNet
from alexnet.models.families.alexnet import AlexNetConfig
from alexnet.optim.optimizers import build_optimizer
from alexnet.paths import CONF
from alexnet.terminal import format_bytes
from alexnet.training.trainer_args import PROCESSES_PER_CORE

CLASSES = 1000
WARM_UP = 2  # steps; in the second DDP arranges its gradients once more
CUDA = torch.cuda.is_available()
CORES = os.cpu_count() or 1


@dataclass(frozen=True)
class Placement:
    """Placement of `copies` of the network, each on `columns` devices."""

    name: str
    copies: int
    columns: int

    @property
    def devices(self) -> int:
        return self.copies * self.columns


PLACEMENTS = (
    Placement("single", 1, 1),
    Placement("ddp", 2, 1),
    Placement("fsdp", 2, 1),
    Placement("model_parallel", 1, 2),
    Placement("model_parallel 2x2", 2, 2),
)


def main() -> None:
    arguments = _arguments()
    multiprocessing.set_forkserver_preload(["torch", "lightning", "hydra"])  # seconds, once for all processes
    available = torch.cuda.device_count() if CUDA else PROCESSES_PER_CORE * CORES
    possible = [placement for placement in PLACEMENTS if placement.devices <= available]
    print(
        f"{torch.cuda.get_device_name() if CUDA else f'CPU, {CORES} cores'}, torch {torch.__version__};"
        f" width {arguments.width:g}, global batch {arguments.batch}, {arguments.steps} steps,"
        f" {arguments.rounds} rounds"
    )
    measured: dict[Placement, list[dict[str, float]]] = {placement: [] for placement in possible}
    for _ in range(arguments.rounds):
        for placement, rounds in measured.items():
            rounds.append(_measure_placement(placement, arguments))
    print(
        f"{'':20}{'devices':>7}{'ms a step: median':>19}{'min':>8}{'max':>8}{'images/s':>10}"
        f"{'ratio: median':>15}{'min':>6}{'max':>6}{'held':>11}{'peak':>11}{'sent':>11}"
    )
    single = measured[possible[0]]
    for placement, rounds in measured.items():
        times = [1000 * numbers["seconds"] for numbers in rounds]
        ratios = [base["seconds"] / numbers["seconds"] for base, numbers in zip(single, rounds, strict=True)]
        sizes = (format_bytes(max(numbers[key] for numbers in rounds)) for key in ("held", "peak", "sent"))
        print(
            f"{placement.name:20}{placement.devices:7}{statistics.median(times):19,.0f}{min(times):8,.0f}"
            f"{max(times):8,.0f}{1000 * arguments.batch / statistics.median(times):10,.0f}"
            f"{statistics.median(ratios):15.2f}{min(ratios):6.2f}{max(ratios):6.2f}"
            + "".join(f"{size:>11}" for size in sizes)
        )
    for placement in PLACEMENTS:
        if placement not in measured:
            print(f"{placement.name:20}{placement.devices:7} left out: {available} available")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--width", type=float, default=1.0, help="factor on maps and units: model.width")
    parser.add_argument("--batch", type=int, default=128, help="images, over all devices")
    parser.add_argument("--steps", type=int, default=10, help="timed in each round")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    copies = max(placement.copies for placement in PLACEMENTS)
    if arguments.batch % copies:
        parser.error(f"--batch {arguments.batch}: does not divide over {copies} copies of the network")
    return arguments


def _measure_placement(placement: Placement, arguments: argparse.Namespace) -> dict[str, float]:
    """Start a process for each device; return the largest of each of their numbers."""
    with tempfile.TemporaryDirectory() as name:
        given = (placement, arguments, Path(name))
        start_processes(_measure_rank, given, placement.devices, start_method="forkserver")
        ranks = [json.loads(path.read_text(encoding="utf-8")) for path in Path(name).glob("*.json")]
    return {key: max(numbers[key] for numbers in ranks) for key in ranks[0]}


def _measure_rank(rank: int, placement: Placement, arguments: argparse.Namespace, folder: Path) -> None:
    """Write this device's numbers to `folder`, where the devices also meet."""
    device = torch.device("cuda", rank) if CUDA else torch.device("cpu")
    if CUDA:
        torch.cuda.set_device(device)
    torch.set_num_threads(1)
    before = _peak()
    backend, rendezvous = "nccl" if CUDA else "gloo", f"file://{folder}/rendezvous"
    distributed.init_process_group(backend, rendezvous, rank=rank, world_size=placement.devices)
    config = _config(f"model.width={arguments.width}")
    torch.manual_seed(0)
    assert isinstance(config.model, AlexNetConfig)
    network = AlexNet(config.model, CLASSES).to(device)
    model = _parallelize(network, placement)
    optimizer = build_optimizer(network, config.optimizer)
    torch.manual_seed(rank // placement.columns)  # the devices of a copy see the same images
    images, labels, dropout_seeds = _batch(
        arguments.batch // placement.copies, config.model.image_size, device
    )

    def step() -> None:
        optimizer.zero_grad()
        cross_entropy(model(images, dropout_seeds), labels).backward()
        optimizer.step()

    for _ in range(WARM_UP):
        step()
    with CommVolumeMode() as volume:
        step()
    numbers = {
        "seconds": _seconds(step, arguments.steps),
        "held": sum(tensor.nbytes for tensor in _held(optimizer)),
        "peak": _peak() - before,
        "sent": sum(collective.sent for collective in volume.collectives),
    }
    (folder / f"{rank}.json").write_text(json.dumps(numbers), encoding="utf-8")
    distributed.destroy_process_group()


def _config(*overrides: str) -> TrainConfig:
    register("train", TrainConfig)
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return read_config(compose("train", ["model.columns=2", *overrides]), TrainConfig)


def _parallelize(network: AlexNet, placement: Placement) -> nn.Module:
    if placement.name == "ddp":
        return DistributedDataParallel(network)
    shape, names = (placement.copies, placement.columns), ("data_parallel", "tensor_parallel")
    parallelize(network, init_device_mesh("cuda" if CUDA else "cpu", shape, mesh_dim_names=names))
    return network


def _batch(size: int, side: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    images = 60 * torch.randn(size, 3, side, side)
    labels, dropout_seeds = torch.randint(CLASSES, (size,)), torch.randint(2**32, (size,))
    return images.to(device), labels.to(device), dropout_seeds.to(device)


def _peak() -> float:
    """Return the most bytes that were in use so far."""
    return 1e6 * peak_memory_mb("gpu" if CUDA else "cpu")


def _seconds(step: Callable[[], None], steps: int) -> float:
    """Return the time of a step."""
    distributed.barrier()
    began = time.perf_counter()
    for _ in range(steps):
        step()
    if CUDA:
        torch.cuda.synchronize()
    return (time.perf_counter() - began) / steps


def _held(optimizer: torch.optim.Optimizer) -> Iterator[Tensor]:
    """Yield this device's weights, gradients and optimiser state."""
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            for tensor in (parameter.detach(), parameter.grad, *optimizer.state[parameter].values()):
                if isinstance(tensor, Tensor):
                    yield tensor.to_local() if isinstance(tensor, DTensor) else tensor


if __name__ == "__main__":
    main()
