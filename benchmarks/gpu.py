"""Qualify a GPU: what this program reaches on it, part by part, in one JSON file and one Markdown page.

    python benchmarks/gpu.py [--minutes 4.8] [--out <folder>] [--pack <folder>] [--quick] [key=value ...]

Needs no network, no account and no data but what it makes, or a pack that is given. After each part it writes
<out>/gpu.json and <out>/gpu.md, whose tables are for docs/performance.md. It goes on after a part that
fails, in a new process where the GPU no longer answers; the failure is written down. What the time does not
suffice for is left out and named. `--resume` does the parts that <out> does not have yet.

Keys are those of benchmark.py. Ratios are taken between neighbours in time: what is compared takes turns.
`--quick` takes the smallest sizes: to try the program itself, on a CPU too.
"""

import argparse
import functools
import gc
import json
import math
import os
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from multiprocessing import get_context
from operator import attrgetter
from pathlib import Path
from unittest.mock import patch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

import numpy as np
import torch
from end_to_end import build_module, train_on
from gpu_tables import (
    Result,
    augmentation_table,
    compiled_table,
    machine_table,
    spread,
    steps_table,
    training_table,
    variants_table,
)
from hydra import compose, initialize_config_dir
from numpy.typing import NDArray

from alexnet.benchmark.measure import OTHER, profile_kernels, shares
from alexnet.benchmark.variants import BFLOAT16, Step, build_steps, device_of, flops_of_step, native_dtype
from alexnet.config import BenchmarkConfig, PackFormat, PrepareConfig, Variant
from alexnet.config.arguments import quote_arguments
from alexnet.config.composition import register
from alexnet.config.reading import read_config
from alexnet.data.augmentation import Augmentation
from alexnet.data.dataset import ImageDataset
from alexnet.data.loading import ImageData, load_image_data
from alexnet.data.pack_writer import make_pack
from alexnet.data.statistics import color_axes, mean_image
from alexnet.errors import first_line, lacks_memory
from alexnet.files import write_json, write_text
from alexnet.hardware import (
    cpu_model,
    ieee_float32,
    precision_dtype,
    product_rate,
    resolve_precision,
    synchronize,
)
from alexnet.paths import CONF, absolute
from alexnet.runs.log import log_to_terminal
from alexnet.training import compile as compilation

WARM_UP = 4  # steps: of a CUDA graph the second records


@dataclass(frozen=True)
class Sizes:
    """How much is measured of each part."""

    batches: tuple[int, ...] = (128, 256, 512, 1024, 2048)
    batch: int = 1024  # for what is measured at one size
    trained: tuple[int, ...] = (128, 1024)  # batches of training from data
    rounds: int = 3
    seconds: float = 0.3  # of each step in each round
    steps: int = 40  # of each way to train in each round, at most
    round_images: int = 12_288  # of each way to train in each round, about
    matrix: int = 8192
    images: int = 2048  # that are made, and repeated
    variant_seconds: float = 20.0  # that must be left to begin with another variant: it is compiled first


QUICK = Sizes((2, 4), 4, (4,), 2, 0.0, 2, 8, 64, 20, 0.0)
QUICK_KEYS = ("model.width=0.0625", "model.fc_units=[64,64]", "classes=10", "data.workers=0")


class Bench:
    """The settings of all parts, the time that is left, and what several parts need."""

    def __init__(self, sizes: Sizes, overrides: Sequence[str], pack: Path | None, deadline: float) -> None:
        self.sizes, self.overrides, self.pack, self.deadline = sizes, tuple(overrides), pack, deadline
        self.scratch = Path(tempfile.mkdtemp(prefix="alexnet-gpu-"))
        config = self.config()
        self.device, self.product_dtype = device_of(config), native_dtype(config)

    def left(self) -> float:
        """Return the seconds that are left."""
        return self.deadline - time.time()

    def config(self, *overrides: str) -> BenchmarkConfig:
        """Return benchmark.py's configuration; what is given later counts."""
        data = (
            f"data.root={self.scratch}/synthetic",
            f"data.cache={self.scratch}/cache",
            f"data.synthetic.train_images={self.sizes.images}",
            "data.synthetic.val_images=10",
        )
        given = [*data, f"data.batch_size={self.sizes.batch}", *self.overrides, *overrides]
        with initialize_config_dir(str(CONF), version_base="1.3"):
            raw = compose("benchmark", quote_arguments(given, BenchmarkConfig))
        return read_config(raw, BenchmarkConfig)

    def product(self) -> float:
        """Measure the rate of a matrix product, in floating-point operations a second."""
        return product_rate(self.sizes.matrix, self.product_dtype, self.device, self.sizes.seconds / 3)

    def free(self) -> None:
        """Give back the memory of networks and CUDA graphs that are no longer needed."""
        torch.compiler.reset()
        gc.collect()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def take_turns(self, steps: dict[str, Step]) -> tuple[dict[str, list[float]], list[float]]:
        """Time steps that are warm in turns.

        Returns the seconds of a step by name and round, and the product's rate of each round.
        """
        seconds: dict[str, list[float]] = {name: [] for name in steps}
        products: list[float] = []
        for _ in range(self.sizes.rounds):
            for name, step in steps.items():
                seconds[name].append(self._seconds(step))
            products.append(self.product())
            if self.left() < 0:
                break
        return seconds, products

    def warm_up(self, step: Step) -> float:
        """Run a step for the first times; return the seconds of the first."""
        began = time.perf_counter()
        step()
        synchronize(self.device)
        first = time.perf_counter() - began
        for _ in range(WARM_UP - 1 if self.sizes.seconds else 0):
            step()
        synchronize(self.device)
        return first

    def _seconds(self, step: Step) -> float:
        once = self._time(step, 1)
        return self._time(step, max(1, math.ceil(self.sizes.seconds / once)))

    def _time(self, step: Step, times: int) -> float:
        synchronize(self.device)
        began = time.perf_counter()
        for _ in range(times):
            step()
        synchronize(self.device)
        return (time.perf_counter() - began) / times

    @contextmanager
    def peak(self, result: Result) -> Iterator[None]:
        """Put the peak of torch's memory on the GPU into `result`, in 10^6 bytes; nothing on a CPU."""
        if self.device.type != "cuda":
            yield
            return
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        yield
        result["peak_memory_mb"] = torch.cuda.max_memory_allocated() / 1e6
        result["reserved_memory_mb"] = torch.cuda.max_memory_reserved() / 1e6

    @functools.cached_property
    def data(self) -> dict[str, ImageData]:
        """The images that are made, from memory and from packs; and the pack that was given."""
        config = self.config().data
        Path(config.root).mkdir()
        packs = {}
        for kind in PackFormat:
            packs[f"{kind.value} pack"] = replace(config, pack=f"{self.scratch}/{kind.value}")
            make_pack(PrepareConfig(packs[f"{kind.value} pack"], kind, 90))
        sources = {"memory": replace(packs["raw pack"], in_memory=True), **packs}
        if self.pack is not None:
            sources["given pack"] = replace(config, pack=str(self.pack))
        return {name: load_image_data(source) for name, source in sources.items()}


class Repeated(ImageDataset):
    """The images of another data set, again and again: a long epoch of few images."""

    def __init__(self, images: ImageDataset, count: int) -> None:
        super().__init__(np.resize(images.labels, count))
        self.images = images

    def path(self, index: int) -> str:
        return self.images.path(index % len(self.images))

    def read_rows(
        self, indices: NDArray[np.int64], images: NDArray[np.uint8], labels: NDArray[np.int64]
    ) -> None:
        self.images.read_rows(indices % len(self.images), images, labels)

    def _read(self, index: int, out: NDArray[np.uint8]) -> None:
        self.images._read(index % len(self.images), out)


# the parts


def measure_machine(bench: Bench) -> Result:
    """Name the machine, and measure its products and copies."""
    device, sizes = bench.device, bench.sizes
    rates = {
        kind: product_rate(sizes.matrix, getattr(torch, kind), device, sizes.seconds)
        for kind in dict.fromkeys(("float32", str(bench.product_dtype).removeprefix("torch.")))
    }
    block = torch.empty(sizes.matrix, sizes.matrix, device=device)
    other = torch.empty_like(block)

    def copy() -> None:
        other.copy_(block)

    bench.warm_up(copy)
    seconds = bench._seconds(copy)
    gpu = device.type == "cuda"
    return {
        "device": torch.cuda.get_device_name() if gpu else cpu_model(),
        "memory_gb": torch.cuda.mem_get_info()[1] / 1e9 if gpu else None,
        "host": f"{cpu_model()}, {os.cpu_count()} cores",
        "torch": torch.__version__,
        "cuda": torch.version.cuda if gpu else None,
        "cudnn": torch.backends.cudnn.version() if gpu else None,
        "python": sys.version.partition(" ")[0],
        "precision": resolve_precision(bench.config().trainer),
        "product_flops_per_second": rates,
        "copy_bytes_per_second": 2 * block.nbytes / seconds,
    }


def measure_steps(bench: Bench, columns: int) -> Result:
    """Measure a step at each batch size, of images that are on the device, and profile one."""
    config = bench.config(f"model.columns={columns}")
    maker, steps = build_steps(Variant.ours, config), {}
    result: Result = {"batches": {}}
    for size in bench.sizes.batches:
        of_size: Result = {}
        try:
            with bench.peak(of_size):
                steps[str(size)] = maker(size)
                of_size["first_step_seconds"] = bench.warm_up(steps[str(size)])
        except (RuntimeError, MemoryError) as error:
            if not lacks_memory(error):
                raise
            steps.pop(str(size), None)
            result["out_of_memory_at"] = size
            break
        result["batches"][str(size)] = of_size
    seconds, products = bench.take_turns(steps)
    flops = flops_of_step(Variant.ours, config) / config.data.batch_size
    for name, values in seconds.items():
        images = [int(name) / value for value in values]
        of_product = [flops * rate / product for rate, product in zip(images, products, strict=False)]
        result["batches"][name] |= {
            "images_per_second": spread(images),
            "share_of_product": spread(of_product),
        }
    result |= {"flops_per_image": flops, "product_flops_per_second": spread(products)}
    profiled = str(min(bench.sizes.batch, max(map(int, steps))))
    try:
        result["profile"] = {"batch_size": int(profiled)} | profile(bench, steps[profiled])
    except Exception as error:  # without it the speeds count
        result["profile"] = {"failed": first_line(error)}
    return result


def profile(bench: Bench, step: Step) -> Result:
    """Measure where the time of a step goes, by group of kernels; name the largest, and those of no group."""
    spent = profile_kernels(step, bench.device, "compiled kernels")
    total = sum(spent.values())
    largest = sorted(spent.items(), key=lambda item: -item[1])
    return {
        "kernels_milliseconds": total / 1e3,
        "parts": shares(spent),
        "largest": [[part, name[:200], value / total] for (part, name), value in largest[:20]],
        OTHER: [[name[:200], value / total] for (part, name), value in largest if part == OTHER][:10],
    }


Compared = dict[str, tuple[Variant, tuple[str, ...]]]  # by name: what is built, and keys

DEFAULT = "as by default"
ONE_SIZE = "compiled for one batch size"
OPTIONS: Compared = {
    DEFAULT: (Variant.ours, ()),
    "not channels-last": (Variant.ours, ("performance.channels_last=false",)),
    "without CUDA graphs": (Variant.ours, ("performance.cuda_graphs=false",)),
    ONE_SIZE: (Variant.ours, ()),
    "only LRN compiled": (Variant.ours, ("performance.compile=lrn",)),
    "performance=plain": (Variant.ours_plain, ()),
    "torchvision's network, compiled": (Variant.torchvision_compiled, ()),
    "cuDNN's fastest convolutions": (Variant.ours, ("trainer.benchmark=true",)),
    "stock modules, bfloat16": (Variant.stock_bfloat16, ()),
    "in float32": (Variant.ours, ("trainer.precision=32-true",)),
}
INNOVATIONS: Compared = {
    DEFAULT: (Variant.ours, ()),
    "without LRN": (Variant.ours, ("model.lrn=false",)),
    "without dropout": (Variant.ours, ("model.dropout=0",)),
    "pooling without overlap": (Variant.ours, ("model.pooling=non_overlapping",)),
    "tanh for ReLU": (Variant.ours, ("model.activation=tanh",)),
    "two columns": (Variant.ours, ("model.columns=2",)),
    "with batch normalization": (Variant.ours, ("model.batch_norm=true",)),
    "the program of 2012": (Variant.ours, ("model=alexnet_2012",)),
}


TWO_COLUMNS = "model.columns=2"
COMPILERS = 6  # processes at most: each takes as much of the GPU's memory as a step does


def compile_ahead(bench: Bench) -> Result:
    """Compile the networks that `compare` will measure, several at a time, into the compiler's cache.

    Each takes about twenty seconds, mostly of one core. One that fails is told where it is measured.
    """
    compared = [(OPTIONS, ()), (OPTIONS, (TWO_COLUMNS,)), (INNOVATIONS, ())]
    networks = {
        (variant, (*given, *keys), name == ONE_SIZE)
        for variants, given in compared
        for name, (variant, keys) in variants.items()
        if variant not in BFLOAT16 or bench.product_dtype is torch.bfloat16
    }
    processes = max(1, min(COMPILERS, (os.cpu_count() or 1) // 2))
    began = time.perf_counter()
    with ProcessPoolExecutor(processes, get_context("spawn"), initializer=_prepare) as pool:
        jobs = [
            pool.submit(_first_step, variant, bench.config(*keys), one_size)
            for variant, keys, one_size in networks
        ]
        failed = sum(job.exception() is not None for job in jobs)
    seconds = time.perf_counter() - began
    return {"networks": len(networks), "not_compiled": failed, "processes": processes, "seconds": seconds}


def _prepare() -> None:
    log_to_terminal(quiet=True)
    register("benchmark", BenchmarkConfig)


def _first_step(variant: Variant, config: BenchmarkConfig, one_size: bool) -> None:
    with ieee_float32(), _compiled_for_one_size(one_size):
        build_steps(variant, config)(config.data.batch_size)()
    torch.compiler.reset()
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def compare(bench: Bench, variants: Compared, *given: str) -> Result:
    """Measure variants of a step in turns, and how many times as fast as the default each is.

    A variant that fails is written down, and so is one for which no time is left.
    """
    steps: dict[str, Step] = {}
    result: Result = {"batch_size": bench.sizes.batch, "variants": {}}
    for name, (variant, overrides) in variants.items():
        of_variant: Result = {"overrides": " ".join(overrides), "implementation": variant.value}
        result["variants"][name] = of_variant
        if variant in BFLOAT16 and bench.product_dtype is not torch.bfloat16:
            of_variant["skipped"] = "bfloat16 is emulated here"
            continue
        if bench.left() < bench.sizes.variant_seconds:
            of_variant["skipped"] = "no time left"
            continue
        try:
            with bench.peak(of_variant), _compiled_for_one_size(name == ONE_SIZE):
                step = build_steps(variant, bench.config(*given, *overrides))(bench.sizes.batch)
                of_variant["first_step_seconds"] = bench.warm_up(step)
            steps[name] = step
        except Exception as error:  # the others are measured all the same
            of_variant["failed"] = first_line(error)
            synchronize(bench.device)  # raises where the GPU no longer answers
    if DEFAULT not in steps:
        return result
    seconds, _ = bench.take_turns(steps)
    for name, values in seconds.items():
        ratios = [base / value for base, value in zip(seconds[DEFAULT], values, strict=False)]
        result["variants"][name] |= {
            "milliseconds": spread([1e3 * value for value in values]),
            "ratio": spread(ratios),
        }
    return result


@contextmanager
def _compiled_for_one_size(wanted: bool) -> Iterator[None]:
    """Leave it to the compiler, if wanted, whether the number of images may change."""
    if not wanted:
        yield
        return
    with patch.object(compilation, "_for_any_batch", attrgetter("_compiled_call_impl")):
        yield


def measure_augmentation(bench: Bench) -> Result:
    """Measure what makes a batch of crops from uint8 images on the device."""
    config, statistics = bench.config(), bench.data["memory"].statistics
    side, count = config.data.resize_size, bench.sizes.batch
    images = torch.randint(256, (count, 3, side, side), device=bench.device).to(torch.uint8)
    dtype = precision_dtype(resolve_precision(config.trainer))
    steps: dict[str, Step] = {}
    for name, keys in {
        "crops, flips, colours": (),
        "without colours": ("data.augment.color=false",),
        "centre crops": ("data.augment.color=false", "data.augment.crop=false", "data.augment.flip=false"),
    }.items():
        augment = bench.config(*keys).data.augment
        mean = mean_image(statistics, config.data.mean)
        axes = color_axes(statistics, augment.color_scale)
        made = Augmentation(augment, config.model.image_size, mean, axes)
        params = made.params(0, 0, count)
        steps[name] = lambda made=made, params=params: made.random(images, params, 0, dtype)  # type: ignore[misc]
    result: Result = {"batch_size": count, "variants": {}}
    for name, step in steps.items():
        of_step: Result = {}
        with bench.peak(of_step):
            bench.warm_up(step)
        result["variants"][name] = of_step
    for name, values in bench.take_turns(steps)[0].items():
        result["variants"][name]["images_per_second"] = spread([count / value for value in values])
    return result


NETWORK = "one batch on the device"


def measure_training(bench: Bench, columns: int) -> Result:
    """Train as train.py does, from each source of images; the network alone is measured beside."""
    result: Result = {}
    for size in bench.sizes.trained:
        keys = (f"model.columns={columns}", f"data.batch_size={size}")
        config = bench.config(*keys)
        steps = min(bench.sizes.steps, bench.sizes.round_images // size)
        images = size * (WARM_UP + steps)
        ways: dict[str, tuple[BenchmarkConfig, ImageData | None]] = {NETWORK: (config, None)}
        for name, data in bench.data.items():
            ways[name] = config, replace(data, train=Repeated(data.train, images))
        ways["the device"] = bench.config(*keys, "data.resident=true"), ways["memory"][1]
        module = build_module(config, bench.data["memory"])
        rates: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(bench.sizes.rounds):
            for name, (of_way, images_of_way) in ways.items():
                rates[name].append(train_on(module, of_way, images_of_way, steps))
            if bench.left() < 0:
                break
        result[str(size)] = {
            name: {
                "images_per_second": spread(values),
                "share_of_network": spread([v / m for v, m in zip(values, rates[NETWORK], strict=True)]),
            }
            for name, values in rates.items()
        }
    return result


@dataclass(frozen=True)
class Part:
    """A part of the report: what is measured, and the lines of its table."""

    title: str
    measure: Callable[[Bench], Result]
    table: Callable[[Result], list[str]]


PARTS = {
    "machine": Part("The machine", measure_machine, machine_table),
    "steps_1": Part("A step, one column", lambda bench: measure_steps(bench, 1), steps_table),
    "steps_2": Part("A step, two columns", lambda bench: measure_steps(bench, 2), steps_table),
    "compiled": Part("What is compared, compiled in advance", compile_ahead, compiled_table),
    "training_1": Part("Training, one column", lambda bench: measure_training(bench, 1), training_table),
    "innovations": Part(
        "What each innovation costs", lambda bench: compare(bench, INNOVATIONS), variants_table
    ),
    "augmentation": Part("Augmentation on the device", measure_augmentation, augmentation_table),
    "options_2": Part(
        "Other ways to compute it, two columns",
        lambda bench: compare(bench, OPTIONS, TWO_COLUMNS),
        variants_table,
    ),
    "options_1": Part(
        "Other ways to compute it, one column", lambda bench: compare(bench, OPTIONS), variants_table
    ),
    "training_2": Part("Training, two columns", lambda bench: measure_training(bench, 2), training_table),
}


def write_report(folder: Path, content: Result) -> None:
    """Write gpu.json and gpu.md."""
    write_json(folder / "gpu.json", content)
    lines = ["# Measured by benchmarks/gpu.py", "", f"`{content['command']}`, {content['date']}"]
    for name, result in content["parts"].items():
        lines += ["", f"## {PARTS[name].title}", ""]
        if reason := result.get("failed") or result.get("skipped"):
            lines.append(f"Not measured: {reason}")
        else:
            lines += PARTS[name].table(result)
    write_text(folder / "gpu.md", "\n".join(lines) + "\n")


def main() -> None:
    arguments, overrides = _arguments()
    _prepare()
    folder, content = _open_report(arguments)
    sizes, keys = (QUICK, QUICK_KEYS) if arguments.quick else (Sizes(), ())
    bench = Bench(sizes, (*keys, *overrides), arguments.pack, content["started"] + 60 * arguments.minutes)
    try:
        with ieee_float32():
            for name, part in PARTS.items():
                if name not in content["parts"]:
                    content["parts"][name] = _measured(bench, part)
                    write_report(folder, content)
                    if not _answers(bench):
                        _start_again(folder, bench)
    finally:
        shutil.rmtree(bench.scratch, ignore_errors=True)
    print(f"Report    {folder / 'gpu.md'}")


def _measured(bench: Bench, part: Part) -> Result:
    """Return the result of a part, or why there is none."""
    if bench.left() < 0:
        return {"skipped": "no time left"}
    began = time.time()
    try:
        result = part.measure(bench)
        outcome = f"{time.time() - began:.0f} s"
    except Exception as error:
        traceback.print_exc()
        result = {"failed": f"{type(error).__name__}: {first_line(error)}"}
        outcome = f"failed after {time.time() - began:.0f} s: {result['failed']}"
    print(f"{part.title}: {outcome}", flush=True)
    return result


def _answers(bench: Bench) -> bool:
    """Free the memory of a part, and return whether the device still works: after some errors it does not."""
    try:
        bench.free()
        synchronize(bench.device)
    except RuntimeError:
        return False
    return True


def _start_again(folder: Path, bench: Bench) -> None:
    """Replace this process by one that does the parts which the report does not have yet."""
    shutil.rmtree(bench.scratch, ignore_errors=True)
    last = [f"--out={folder}", "--resume", f"--minutes={bench.left() / 60}"]  # what is given later counts
    os.execv(sys.executable, [*sys.orig_argv, *last])


def _open_report(arguments: argparse.Namespace) -> tuple[Path, Result]:
    """Return the folder of the report, and its content so far."""
    now = datetime.now()
    folder = absolute(arguments.out or f"outputs/benchmarks/gpu_{now:%Y-%m-%d_%H-%M-%S}")
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "gpu.json"
    if arguments.resume and file.exists():
        content = json.loads(file.read_text(encoding="utf-8"))
        parts = {name: part for name, part in content["parts"].items() if "skipped" not in part}
        return folder, content | {"started": time.time(), "parts": parts}
    command = " ".join(["python benchmarks/gpu.py", *sys.argv[1:]])
    return folder, {"command": command, "date": f"{now:%Y-%m-%d}", "started": time.time(), "parts": {}}


def _arguments() -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--minutes", type=float, default=4.8, help="after which nothing new begins")
    parser.add_argument("--out", help="folder of the report; default: outputs/benchmarks/gpu_<time>")
    parser.add_argument("--pack", type=Path, help="a pack of images to train from, besides those made here")
    parser.add_argument("--quick", action="store_true", help="smallest sizes, to try the program itself")
    parser.add_argument("--resume", action="store_true", help="do the parts that are not in --out yet")
    return parser.parse_known_args()


if __name__ == "__main__":
    main()
