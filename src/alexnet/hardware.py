"""Hardware of this machine: accelerators, native precisions, memory, arithmetic throughput, a compiler."""

import ctypes
import functools
import logging
import platform
import resource
import statistics
import sys
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from alexnet.config import Accelerator, EvaluateConfig, TrainerConfig
from alexnet.errors import UserError, first_line, lacks_memory
from alexnet.machine import available_memory


def resolve_accelerator(accelerator: Accelerator) -> str:
    """Return cpu, gpu or mps. Raises `UserError` if this machine does not have it."""
    present = {"gpu": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    available = [name for name, is_present in present.items() if is_present]
    if accelerator is Accelerator.auto:
        return available[0]
    if accelerator.value not in available:
        choices = ", ".join(available)
        raise UserError(f"trainer.accelerator={accelerator.value}: not on this machine. Choices: {choices}.")
    return accelerator.value


def resolve_device(accelerator: Accelerator) -> torch.device:
    """Return an accelerator's first device. Raises `UserError` if this machine does not have one."""
    name = resolve_accelerator(accelerator)
    return torch.device("cuda" if name == "gpu" else name)


def resolve_precision(config: TrainerConfig | EvaluateConfig) -> str:
    """Return Lightning's name for the precision; auto is bf16-mixed on devices with native bfloat16.

    On others, where bfloat16 is emulated and many times slower, it is 32-true.
    """
    if config.precision != "auto":
        return config.precision
    accelerator = resolve_accelerator(config.accelerator)
    if accelerator == "gpu":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:  # older versions of torch have no get_capabilities
        capabilities: Mapping[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
        native = accelerator == "cpu" and any(capabilities.get(name) for name in ("avx512_bf16", "amx_bf16"))
    return "bf16-mixed" if native else "32-true"


def cpu_model() -> str:
    """Return the processor's model name."""
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # M_TRIM_THRESHOLD and M_MMAP_MAX of glibc's malloc.h


def retain_malloc() -> bool:
    """Make malloc retain the memory that this process frees; return whether it can (glibc only).

    By default malloc returns the memory of each large tensor to the system when it is freed, and the system
    clears the pages of the next one when they are first touched: on two cores this takes a third of AlexNet's
    training step. With this setting the pages stay in the process, whose memory remains at its peak, which is
    about 15% higher. Call it before the first large tensor is created; it affects CPU tensors only.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return bool(mallopt(_MMAP_MAX, 0) and mallopt(_TRIM_THRESHOLD, -1))


def peak_memory_mb(accelerator: str) -> float:
    """Return the peak memory so far, in 10^6 bytes: that of tensors on a GPU, else that of the process."""
    if accelerator == "gpu":
        return torch.cuda.max_memory_allocated() / 1e6
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # in KiB on Linux, in bytes on macOS
    return peak * (1 if sys.platform == "darwin" else 1024) / 1e6


def free_memory(device: torch.device) -> float | None:
    """Return the bytes that are free for tensors on a device; None if that is not known."""
    if device.type == "cuda":
        return float(torch.cuda.mem_get_info(device)[0])
    if device.type == "mps":
        return float(torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory())
    return available_memory()


MEASURED_SECONDS = 0.05
OCCUPYING_SECONDS = 0.01  # a product that takes this long occupies the whole device
FIRST_SIDE, LARGEST_SIDE = 256, 8192


@functools.cache
def matrix_rate(device: torch.device, precision: str) -> float:
    """Return the floating-point operations per second of a large matrix product, as a device's rough speed.

    Training can exceed it: on some processors the library for convolutions is faster than that for matrix
    products. `precision` is Lightning's name for the precision. Measured once per process.
    """
    return measure_matrix_rate(device, precision)


def measure_matrix_rate(device: torch.device, precision: str) -> float:
    """Measure what `matrix_rate` returns; takes less than a second."""
    dtype, side = precision_dtype(precision), FIRST_SIDE
    while side < LARGEST_SIDE and 2 * side**3 / product_rate(side, dtype, device, 0) < OCCUPYING_SECONDS:
        side *= 2
    rate = product_rate(side, dtype, device, MEASURED_SECONDS)
    if device.type == "cuda":  # these matrices do not count towards the run's peak
        torch.cuda.reset_peak_memory_stats(device)
    return rate


def product_rate(side: int, dtype: torch.dtype, device: torch.device, seconds: float) -> float:
    """Measure the floating-point operations per second of the product of two (side, side) matrices.

    Returns the median over at least `seconds` of repetitions, after a warm-up; 0 seconds measures a single
    product. Does not advance torch's default generators.
    """
    # the import warns of a CUDA toolkit without a GPU
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)
    from torch.utils.benchmark import Timer

    def clock() -> float:
        synchronize(device)  # Timer's own clock waits for the current device, which may be another GPU
        return time.perf_counter()

    generator = torch.Generator(device).manual_seed(0)
    a, b = (torch.randn(side, side, device=device, generator=generator).to(dtype) for _ in range(2))
    timer = Timer("a @ b", timer=clock, globals={"a": a, "b": b}, num_threads=torch.get_num_threads())
    measured = timer.blocked_autorange(min_run_time=seconds)
    return 2 * side**3 / statistics.median(measured.times)


@contextmanager
def ieee_float32() -> Iterator[None]:
    """Compute in float32 on a GPU with all of its bits, as on a CPU; also a decorator.

    By default torch rounds the inputs of convolutions, but not those of matrix products, to TF32's 10 bits.
    bfloat16, the default precision of training, is faster and no less explicit.
    """
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, cudnn.allow_tf32
    matmul.allow_tf32 = cudnn.allow_tf32 = False
    try:
        yield
    finally:
        matmul.allow_tf32, cudnn.allow_tf32 = before


@contextmanager
def flush_subnormals() -> Iterator[None]:
    """Compute with 0 in place of subnormal numbers on a CPU; also a decorator.

    The gradients of saturated units are often as small, and CPUs then compute many times slower. The other
    threads of this process do so if they begin later.
    """
    before = not (torch.full((1,), 1e-40) * 1).any()
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(before)


def synchronize(device: torch.device) -> None:
    """Wait until the device has finished its queued work."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)


def precision_dtype(precision: str) -> torch.dtype:
    """Return the dtype of most of the arithmetic under a precision of Lightning's."""
    types = {"64": torch.float64, "32": torch.float32, "16": torch.float16, "bf16": torch.bfloat16}
    return types[precision.partition("-")[0]]


COMPILER_ADVICE = {
    "cuda": "Install a C compiler (gcc or clang), or give its path in CC",
    "cpu": "Install a C++ compiler (g++ or clang++), or give its path in CXX",
}
OTHER_COMPILER_ADVICE = "torch.compile may not support this device"


@functools.cache
def compiler_failure(device: torch.device) -> str | None:
    """Compile a tiny function for the device; return the compiler's error in one line, or None if it works.

    Caches of earlier processes are not used: they would hide a missing compiler.
    """
    try:
        # not torch.compile(options=...): torch 2.11 does not know this one there
        with torch.compiler.config.patch(force_disable_caches=True), warnings.catch_warnings():  # type: ignore[attr-defined]
            warnings.simplefilter("ignore")  # which caches are off
            compiled = torch.compile(_tiny, fullgraph=True)
            if compiled(torch.zeros(64, device=device)).sum().item() == 64:
                return None
        return "compiled code gives wrong results"
    except Exception as error:  # each of the compiler's tools may raise its own
        if lacks_memory(error):
            raise
        return first_line(error)


def compiler_advice(device: torch.device) -> str:
    """Return advice for a device without a working compiler, without a full stop."""
    return COMPILER_ADVICE.get(device.type, OTHER_COMPILER_ADVICE)


def _tiny(x: Tensor) -> Tensor:
    return x.square() + 1
