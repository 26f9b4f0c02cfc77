"""A training step of this program, of the same network of stock modules, and of torchvision's, in one run.

    python benchmarks/step.py [--columns 1] [--width 1] [--batch 128] [--steps 5] [--rounds 3]

A step is a forward pass with LRN and dropout, the loss, a backward pass and an update, on float32 images
that are on the device already, at 1000 classes. This program's is worked out as with
speed=fast on a CPU. Torchvision's network is a smaller one, without LRN. The
programs take turns, each in a process of its own, so that a machine that slows down slows all; medians
over the rounds, with the least and the most.

ratio: against stock modules in float32, round by round. share: floating-point operations a second, as a
share of what a product of two bfloat16 matrices reached in the same process right afterwards. A step
counts as three forward passes less the gradient of the images, which nobody needs. first step: seconds,
with whatever is compiled; "new" with nothing compiled before, "again" with the compiler's cache on disk.
peak: the most memory that tensors took; on the CPU, what the process took beyond its start.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

import torch
from hydra import compose, initialize_config_dir
from torch import multiprocessing, nn
from torch.nn.functional import cross_entropy
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models import alexnet

from alexnet import cli
from alexnet.allocator import keep_freed_memory
from alexnet.choices import DropoutScaling
from alexnet.config import TrainConfig
from alexnet.model.dropout import Dropout
from alexnet.model.lrn import LocalResponseNorm
from alexnet.model.network import AlexNet
from alexnet.paths import CONF
from alexnet.placement.traffic import byte_count
from alexnet.training.memory import peak_memory_mb
from alexnet.training.optimizer import build_optimizer

CLASSES = 1000
WARM_UP = 3  # steps, the first of them timed alone
PRODUCTS = 5
CUDA = torch.cuda.is_available()


@dataclass(frozen=True)
class Program:
    """A network and the way its step is worked out."""

    name: str
    network: str  # ours, stock or torchvision
    half: bool  # bfloat16 by autocast, channels-last
    compiled: bool  # the whole network by torch.compile


STOCK = "stock modules, float32"
PROGRAMS = (
    Program("this program", "ours", True, False),
    Program("this program, compiled whole", "ours", True, True),
    Program(STOCK, "stock", False, False),
    Program("stock modules, bfloat16", "stock", True, False),
    Program("torchvision, float32", "torchvision", False, False),
    Program("torchvision, bfloat16", "torchvision", True, False),
    Program("torchvision, compiled", "torchvision", True, True),
)
# what the profiler's names are about, the first that fits; LRN is all that this program compiles
PARTS = {
    "convolutions, backward": ("convolution_backward", "dgrad", "wgrad"),
    "convolutions, forward": ("convolution", "conv2d", "fprop"),
    "LRN": ("CompiledFxGraph", "LocalResponseNorm", "triton"),
    "pooling": ("max_pool",),
    "fully connected": ("addmm", "aten::mm", "gemm"),
    "update": ("sgd", "SGD"),
    "casts and copies": ("copy_", "_to_copy"),
    "ReLU": ("clamp_min", "threshold", "relu"),
}


def main() -> None:
    arguments = _arguments()
    programs = [program for program in PROGRAMS if not arguments.only or program.name in arguments.only]
    multiprocessing.set_forkserver_preload(["torch", "lightning", "hydra", "torchvision"])
    print(
        f"{torch.cuda.get_device_name() if CUDA else f'CPU, {os.cpu_count()} cores'},"
        f" torch {torch.__version__}; {arguments.columns} column(s), width {arguments.width:g},"
        f" batch {arguments.batch}, {arguments.steps} steps, {arguments.rounds} rounds"
    )
    measured: dict[Program, list[dict[str, float]]] = {program: [] for program in programs}
    parts: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as cache:
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = cache  # empty: the first round compiles everything
        for number in range(arguments.rounds):
            for program, rounds in measured.items():
                found = _in_a_process(program, arguments, number == arguments.rounds - 1)
                parts = found.pop("parts") or parts
                rounds.append(found)
    _print_table(measured, arguments)
    if parts:
        print("\nWhere a step of this program spends its time:")
        for part, share in parts.items():
            print(f"{part:30}{share:7.1%}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument(
        "--columns", type=int, default=1, choices=(1, 2), help="model.columns; torchvision: 1"
    )
    parser.add_argument("--width", type=float, default=1.0, help="model.width; torchvision's is always 1")
    parser.add_argument("--batch", type=int, default=128, help="images")
    parser.add_argument("--steps", type=int, default=5, help="timed in each round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--matrix", type=int, default=4096, help="side of the matrices whose product is timed"
    )
    parser.add_argument("--only", nargs="+", choices=[program.name for program in PROGRAMS], metavar="NAME")
    return parser.parse_args()


def _in_a_process(program: Program, arguments: argparse.Namespace, last: bool) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as name:
        given = (program, arguments, last, Path(name, "found.json"))
        multiprocessing.start_processes(_measure, given, 1, start_method="forkserver")
        return json.loads(given[-1].read_text())


def _measure(_: int, program: Program, arguments: argparse.Namespace, last: bool, file: Path) -> None:
    before = _peak()
    if program.network == "ours":
        keep_freed_memory()
    step = _step(program, arguments)
    began = time.perf_counter()
    step()
    _wait()
    first = time.perf_counter() - began
    for _ in range(WARM_UP - 1):
        step()
    seconds = _seconds(step, arguments.steps)
    found = {"seconds": seconds, "first": first, "peak": _peak() - before}
    found["product"] = _product_rate(arguments.matrix)
    found["parts"] = _parts(step) if last and program.name == PROGRAMS[0].name else None
    file.write_text(json.dumps(found))


def _step(program: Program, arguments: argparse.Namespace) -> Callable[[], None]:
    device = torch.device("cuda" if CUDA else "cpu")
    torch.manual_seed(0)
    config = _config(arguments)
    network = _network(program, config).to(device)
    if program.network == "ours":
        optimizer = build_optimizer(network, config.optimizer)
    else:
        optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)
    side = 224 if program.network == "torchvision" else config.model.image_size
    images = (60 * torch.randn(arguments.batch, 3, side, side)).to(device)
    labels = torch.randint(CLASSES, (arguments.batch,)).to(device)
    inputs = [images]
    if program.network == "ours":
        for module in network.modules():
            if isinstance(module, LocalResponseNorm):
                module.compiled = None
        inputs.append(torch.randint(2**32, (arguments.batch,)).to(device))
    if program.half:
        network = network.to(memory_format=torch.channels_last)
    model = torch.compile(network) if program.compiled else network

    def step() -> None:
        optimizer.zero_grad()
        with torch.autocast(device.type, torch.bfloat16, enabled=program.half):
            loss = cross_entropy(model(*inputs), labels)
        loss.backward()
        optimizer.step()

    return step


def _config(arguments: argparse.Namespace) -> TrainConfig:
    cli.register("train", TrainConfig)
    overrides = [f"model.columns={arguments.columns}", f"model.width={arguments.width}"]
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return cli.read_config(compose("train", overrides), TrainConfig)


def _network(program: Program, config: TrainConfig) -> nn.Module:
    if program.network == "torchvision":
        return alexnet(weights=None)
    network = AlexNet(config.model, CLASSES)
    if program.network == "stock":
        for stage in (network.stage1, network.stage2):
            norm = stage.lrn
            assert isinstance(norm, LocalResponseNorm)
            # torch's divides alpha by the window; it knows no columns
            stage.lrn = nn.LocalResponseNorm(norm.size, norm.size * norm.alpha, norm.beta, norm.k)
        for module in network.modules():
            if isinstance(module, Dropout):
                module.scaling = DropoutScaling.train  # without keys that is torch's
    return network


def _flops(program: Program, arguments: argparse.Namespace) -> float:
    """Of a step: two for each multiply-add of the convolutions and full connections."""
    config = _config(arguments)
    with torch.device("meta"):
        network = _network(program, config)
        side = 224 if program.network == "torchvision" else config.model.image_size
        counter = FlopCounterMode(display=False)
        with counter, torch.no_grad():
            network(torch.empty(arguments.batch, 3, side, side))
    layers = {name: sum(counts.values()) for name, counts in counter.get_flop_counts().items()}
    first = layers["AlexNet.conv1" if program.network != "torchvision" else "AlexNet.features.0"]
    return 3 * counter.get_total_flops() - first


def _peak() -> float:
    """The most bytes so far."""
    return 1e6 * peak_memory_mb("gpu" if CUDA else "cpu")


def _wait() -> None:
    if CUDA:
        torch.cuda.synchronize()


def _seconds(run: Callable[[], object], times: int) -> float:
    _wait()
    began = time.perf_counter()
    for _ in range(times):
        run()
    _wait()
    return (time.perf_counter() - began) / times


def _product_rate(side: int) -> float:
    """Floating-point operations a second of a large matrix product."""
    device = "cuda" if CUDA else "cpu"
    a, b = torch.randn(2, side, side, device=device).bfloat16()
    torch.mm(a, b)
    return 2 * side**3 / statistics.median(_seconds(lambda: torch.mm(a, b), 1) for _ in range(PRODUCTS))


def _parts(step: Callable[[], None]) -> dict[str, float]:
    """Each part's share of the time, the largest first."""
    activity = ProfilerActivity.CUDA if CUDA else ProfilerActivity.CPU
    with profile(activities=[activity]) as profiler:
        step()
        _wait()
    parts: Counter[str] = Counter()
    for event in profiler.key_averages():
        names = (part for part, words in PARTS.items() if any(word in event.key for word in words))
        parts[next(names, "other")] += event.self_device_time_total if CUDA else event.self_cpu_time_total
    return {part: spent / parts.total() for part, spent in parts.most_common()}


def _print_table(measured: dict[Program, list[dict[str, float]]], arguments: argparse.Namespace) -> None:
    print(
        f"{'':30}{'images/s: median':>17}{'min':>8}{'max':>8}{'ratio':>8}{'share: median':>15}{'min':>7}"
        f"{'max':>7}{'of TFLOP/s':>12}{'first step: new':>17}{'again':>7}{'peak':>11}"
    )
    stock = next((rounds for program, rounds in measured.items() if program.name == STOCK), None)
    for program, rounds in measured.items():
        flops = _flops(program, arguments)
        rates = [arguments.batch / each["seconds"] for each in rounds]
        shares = [flops / each["seconds"] / each["product"] for each in rounds]
        ratio = _ratio(stock, rounds) if stock else "-"
        firsts = [each["first"] for each in rounds]
        print(
            f"{program.name:30}{_spread(rates, 17, 8, ',.1f')}{ratio:>8}{_spread(shares, 15, 7, '.0%')}"
            f"{statistics.median(each['product'] for each in rounds) / 1e12:12.3f}{firsts[0]:17.1f}"
            f"{statistics.median(firsts[1:] or firsts):7.1f}"
            f"{byte_count(max(each['peak'] for each in rounds)):>11}"
        )


def _ratio(stock: Iterable[dict[str, float]], rounds: Iterable[dict[str, float]]) -> str:
    ratios = [base["seconds"] / each["seconds"] for base, each in zip(stock, rounds, strict=True)]
    return f"{statistics.median(ratios):.2f}"


def _spread(values: list[float], wide: int, narrow: int, form: str) -> str:
    shown = (format(value, form) for value in (statistics.median(values), min(values), max(values)))
    return "".join(f"{text:>{width}}" for text, width in zip(shown, (wide, narrow, narrow), strict=True))


if __name__ == "__main__":
    main()
