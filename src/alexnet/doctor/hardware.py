"""Cores, memory, devices and compiler."""

import logging
import os
import resource
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from alexnet.config import Compile, PerformanceConfig
from alexnet.doctor.report import Finding, failed, ok, warning
from alexnet.hardware import compiler_advice, compiler_failure, cpu_model

FEWEST_FILES = 1024  # sockets, archives and libraries of a run on several GPUs
ROOT = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Machine:
    """`usable_cores` and `memory` (bytes; None where it is not known) are what this process may have."""

    cores: int
    usable_cores: float
    memory: float | None
    open_files: int


def this_machine() -> Machine:
    """As it is now. Limits of containers and batch systems are known where they are cgroups of version 2."""
    cores = os.cpu_count() or 1
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else cores
    groups = own_cgroups(Path("/proc/self/cgroup"), ROOT)
    free = [_available_memory(Path("/proc/meminfo")), *(_memory_left(group) for group in groups)]
    limits = [cpus for group in groups if (cpus := cpu_limit(group)) is not None]
    open_files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return Machine(
        cores,
        min([allowed, *limits]),
        min((each for each in free if each is not None), default=None),
        open_files,
    )


def check_machine(machine: Machine) -> Iterator[Finding]:
    """Cores, memory, and what is tighter than one would expect."""
    memory = "" if machine.memory is None else f", {machine.memory / 1e9:.1f} GB of memory free"
    files = machine.open_files if machine.open_files >= 0 else "any number of"
    yield ok("machine", f"{machine.usable_cores:g} of {machine.cores} CPU cores{memory}, {files} open files")
    if machine.usable_cores < machine.cores:
        threads = max(1, int(machine.usable_cores))
        seen = f"this process may use {machine.usable_cores:g} of {machine.cores}; there are threads for all"
        advice = f"Ask for more cores, or start with OMP_NUM_THREADS={threads}, data.workers={threads}."
        yield warning("cores", seen, advice)
    if 0 <= machine.open_files < FEWEST_FILES:
        seen = f"only {machine.open_files} at a time"
        yield warning("open files", seen, f"Before training: ulimit -n {FEWEST_FILES}, or more.")


def own_cgroups(table: Path, root: Path) -> list[Path]:
    """This process's group (of version 2) and those that it lies in; each of them may have limits."""
    try:
        lines = table.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    for line in lines:
        if line.startswith("0::"):
            own = root / line.removeprefix("0::").lstrip("/")
            return [group for group in (own, *own.parents) if group.is_relative_to(root)]
    return []


def cpu_limit(group: Path) -> float | None:
    """How many cores' worth of time a group has; None without a limit."""
    try:
        quota, period = (group / "cpu.max").read_text(encoding="utf-8").split()
        return float(quota) / float(period)
    except (OSError, ValueError):  # there is none, or it is "max"
        return None


def _memory_left(group: Path) -> float | None:
    try:
        most, taken = (
            (group / name).read_text(encoding="utf-8") for name in ("memory.max", "memory.current")
        )
        return max(0.0, float(most) - float(taken))
    except (OSError, ValueError):
        return None


def _available_memory(table: Path) -> float | None:
    try:
        lines = table.read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    found = (line.split()[1] for line in lines if line.startswith("MemAvailable:"))
    return next((1024 * float(kib) for kib in found), None)


# share of the largest entry by which a product may be wrong: TF32 rounds to 1/2048, bfloat16 to 1/256
TOLERANCES = {torch.float32: 2e-3, torch.bfloat16: 2e-2}
SIZES = {"cpu": 1024, "mps": 1024, "cuda": 2048}
TIMED_SECONDS = 0.2


def devices_of(accelerator: str) -> list[torch.device]:
    """All that there are of cpu, gpu or mps."""
    if accelerator == "gpu":
        return [torch.device("cuda", index) for index in range(torch.cuda.device_count())]
    return [torch.device(accelerator)]


def check_unseen_gpus(accelerator: str, gpus: Sequence[str]) -> Iterator[Finding]:
    """A note where the driver lists GPUs, but training would run on the CPU."""
    if accelerator == "cpu" and gpus:
        built = f"for CUDA {torch.version.cuda}" if torch.version.cuda else "without CUDA"
        yield warning(
            "devices",
            f"nvidia-smi lists {len(gpus)} GPUs, but torch {torch.__version__}, built {built}, sees none",
            "Install a torch for this driver, or a newer driver; trainer.accelerator=cpu if that is meant.",
        )


def check_product(device: torch.device) -> Iterator[Finding]:
    """A product of two random matrices against one in float64 on the CPU, and how fast it is."""
    size = SIZES[device.type]
    generator = torch.Generator().manual_seed(0)
    left, right = (torch.randn(size, size, generator=generator) for _ in range(2))
    expected = left.double() @ right.double()
    rates = []
    for dtype in (torch.float32, torch.bfloat16) if device.type == "cuda" else (torch.float32,):
        a, b = left.to(device, dtype), right.to(device, dtype)
        error = relative_error(a @ b, expected)
        kind = str(dtype).removeprefix("torch.")
        if not error <= TOLERANCES[dtype]:  # not-a-number is none of the numbers below it
            yield failed(
                str(device),
                f"{name_of(device)}: a product of {size}x{size} matrices in {kind} is wrong by"
                f" {error:.2g} of its largest entry",
                "Use another device. Faulty hardware, overclocking, or a driver that does not suit torch.",
            )
            return
        rates.append(f"{_gigaflops(a, b):,.0f} GFLOP/s in {kind}")
    yield ok(str(device), f"{name_of(device)}: {size}x{size} matrix product right, {', '.join(rates)}")


def relative_error(product: Tensor, expected: Tensor) -> float:
    """The largest difference, as a share of the largest entry."""
    return float((product.cpu().double() - expected).abs().max() / expected.abs().max())


def name_of(device: torch.device) -> str:
    """What the device calls itself, and of a GPU its free memory."""
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
        return f"{torch.cuda.get_device_name(device)}, {free / 1e9:.1f} of {total / 1e9:.1f} GB free"
    return f"{cpu_model()}, {torch.get_num_threads()} threads" if device.type == "cpu" else "Apple GPU"


def _gigaflops(a: Tensor, b: Tensor) -> float:
    """10^9 operations a second; the product before was the warm-up."""
    done, seconds, batch = 0, 0.0, 1
    while seconds < TIMED_SECONDS:
        _synchronize(a.device)
        began = time.perf_counter()
        for _ in range(batch):
            torch.mm(a, b)
        _synchronize(a.device)
        seconds, done = time.perf_counter() - began, batch
        batch *= 2  # on a GPU one product is too short to be timed
    return done * 2 * a.shape[0] ** 3 / seconds / 1e9


def _synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


WHAT = {Compile.network: "the network", Compile.lrn: "LRN"}


def check_compiler(
    performance: PerformanceConfig, compiled: Compile, device: torch.device
) -> Iterator[Finding]:
    """A tiny kernel, compiled for the device where training would compile; `compiled` is what it would.

    Without, training runs eagerly unless `performance.compile=network` asks for it. LRN is compiled for
    CPUs and for CUDA alone.
    """
    if compiled is Compile.none or (compiled is Compile.lrn and device.type not in ("cpu", "cuda")):
        return
    # it tells of a CUDA toolkit beside no GPU
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)
    if (problem := compiler_failure(device)) is None:
        yield ok("compiler", f"compiles for {device.type}, as is wanted for {WHAT[compiled]}")
        return
    seen = f"Nothing can be compiled for {device.type}, as is wanted for {WHAT[compiled]}: {problem}"
    if performance.compile is Compile.network:
        yield failed("compiler", seen, f"{compiler_advice(device)}, or choose performance.compile=none.")
    else:
        yield warning("compiler", seen, f"{compiler_advice(device)}. Training runs without it, but slower.")
