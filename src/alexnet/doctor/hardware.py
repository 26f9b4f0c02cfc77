"""Checks of cores, memory, devices and the compiler."""

import logging
import os
import resource
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from alexnet.config import Compile, PerformanceConfig
from alexnet.doctor.report import Finding, failed, ok, warning
from alexnet.hardware import compiler_advice, compiler_failure, cpu_model, product_rate
from alexnet.machine import available_memory, usable_cores

MIN_OPEN_FILES = 1024  # sockets, archives and libraries of a run on several GPUs


@dataclass(frozen=True)
class Machine:
    """Cores, memory in bytes (None if not known) and open files, as far as this process may use them."""

    cores: int
    usable_cores: float
    memory: float | None
    open_files: int


def inspect_machine() -> Machine:
    """Return the machine as it is now, with the limits of containers and batch systems."""
    open_files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return Machine(os.cpu_count() or 1, usable_cores(), available_memory(), open_files)


def check_machine(machine: Machine) -> Iterator[Finding]:
    """Report cores and memory, and warn of limits that are tighter than one would expect."""
    memory = "" if machine.memory is None else f", {machine.memory / 1e9:.1f} GB of memory free"
    files = machine.open_files if machine.open_files >= 0 else "any number of"
    yield ok("machine", f"{machine.usable_cores:g} of {machine.cores} CPU cores{memory}, {files} open files")
    if machine.usable_cores < machine.cores:
        threads = max(1, int(machine.usable_cores))
        message = (
            f"this process may use {machine.usable_cores:g} of {machine.cores}; torch starts threads for all"
        )
        advice = f"Request more cores, or start with OMP_NUM_THREADS={threads}, data.workers={threads}."
        yield warning("cores", message, advice)
    if 0 <= machine.open_files < MIN_OPEN_FILES:
        message = f"only {machine.open_files} at a time"
        yield warning("open files", message, f"Before training: ulimit -n {MIN_OPEN_FILES}, or more.")


# share of the largest entry by which a product may be wrong: TF32 rounds to 1/2048, bfloat16 to 1/256
TOLERANCES = {torch.float32: 2e-3, torch.bfloat16: 2e-2}
SIZES = {"cpu": 1024, "mps": 1024, "cuda": 2048}
TIMED_SECONDS = 0.2


def list_devices(accelerator: str) -> list[torch.device]:
    """Return all devices of the accelerator cpu, gpu or mps."""
    if accelerator == "gpu":
        return [torch.device("cuda", index) for index in range(torch.cuda.device_count())]
    return [torch.device(accelerator)]


def check_unused_gpus(accelerator: str, gpus: Sequence[str]) -> Iterator[Finding]:
    """Warn if the driver lists GPUs, but training would run on the CPU."""
    if accelerator == "cpu" and gpus:
        built = f"for CUDA {torch.version.cuda}" if torch.version.cuda else "without CUDA"
        yield warning(
            "devices",
            f"nvidia-smi lists {len(gpus)} GPUs, but torch {torch.__version__}, built {built}, sees none",
            "Install a torch for this driver, or a newer driver; or choose trainer.accelerator=cpu.",
        )


def check_product(device: torch.device) -> Iterator[Finding]:
    """Compare a product of random matrices with one in float64 on the CPU, and measure its rate."""
    size = SIZES[device.type]
    generator = torch.Generator().manual_seed(0)
    left, right = (torch.randn(size, size, generator=generator) for _ in range(2))
    expected = left.double() @ right.double()
    rates = []
    for dtype in (torch.float32, torch.bfloat16) if device.type == "cuda" else (torch.float32,):
        a, b = left.to(device, dtype), right.to(device, dtype)
        error = relative_error(a @ b, expected)
        kind = str(dtype).removeprefix("torch.")
        if not error <= TOLERANCES[dtype]:  # true for NaN as well
            yield failed(
                str(device),
                f"{name_of(device)}: a product of {size}x{size} matrices in {kind} is wrong by"
                f" {error:.2g} of its largest entry",
                "Use another device. Possible causes: faulty hardware, overclocking, or a driver that does"
                " not suit torch.",
            )
            return
        rate = product_rate(size, dtype, device, TIMED_SECONDS)
        rates.append(f"{rate / 1e9:,.0f} GFLOP/s in {kind}")
    yield ok(str(device), f"{name_of(device)}: {size}x{size} matrix product right, {', '.join(rates)}")


def relative_error(product: Tensor, expected: Tensor) -> float:
    """Return the largest difference, as a share of the largest entry."""
    return float((product.cpu().double() - expected).abs().max() / expected.abs().max())


def name_of(device: torch.device) -> str:
    """Return the device's own name, and for a GPU its free memory."""
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
        return f"{torch.cuda.get_device_name(device)}, {free / 1e9:.1f} of {total / 1e9:.1f} GB free"
    return f"{cpu_model()}, {torch.get_num_threads()} threads" if device.type == "cpu" else "Apple GPU"


COMPILED_PARTS = {Compile.network: "the network", Compile.lrn: "LRN"}


def check_compiler(
    performance: PerformanceConfig, compiled: Compile, device: torch.device
) -> Iterator[Finding]:
    """Compile a tiny kernel for the device, if training would compile the part `compiled`.

    Without a compiler, training runs eagerly unless `performance.compile=network` asks for it. LRN is
    compiled for CPUs and for CUDA only.
    """
    if compiled is Compile.none or (compiled is Compile.lrn and device.type not in ("cpu", "cuda")):
        return
    # without its warning that there is a CUDA toolkit, but no GPU
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)
    if (problem := compiler_failure(device)) is None:
        yield ok("compiler", f"compiles for {device.type}, as needed for {COMPILED_PARTS[compiled]}")
        return
    part = COMPILED_PARTS[compiled]
    message = f"nothing can be compiled for {device.type}, as needed for {part}: {problem}"
    if performance.compile is Compile.network:
        yield failed("compiler", message, f"{compiler_advice(device)}, or choose performance.compile=none.")
    else:
        yield warning(
            "compiler", message, f"{compiler_advice(device)}. Training runs without it, but slower."
        )
