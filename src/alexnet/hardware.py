"""What this machine can do: accelerators, precision, memory, arithmetic, and whether it can compile."""

import ctypes
import functools
import platform
import resource
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from alexnet.config import Accelerator, TrainerConfig
from alexnet.errors import UserError, lacks_memory


def resolve_accelerator(accelerator: Accelerator) -> str:
    """cpu, gpu or mps. Raises `UserError` for one that this machine does not have."""
    available = {"gpu": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if accelerator is Accelerator.auto:
        return next(name for name, there in available.items() if there)
    if not available[accelerator.value]:
        there = ", ".join(name for name, is_there in available.items() if is_there)
        raise UserError(f"trainer.accelerator={accelerator.value}: not on this machine. Choices: {there}.")
    return accelerator.value


def resolve_device(accelerator: Accelerator) -> torch.device:
    """The first device of an accelerator. Raises `UserError` for one that this machine does not have."""
    name = resolve_accelerator(accelerator)
    return torch.device("cuda" if name == "gpu" else name)


def resolve_precision(trainer: TrainerConfig) -> str:
    """Lightning's name for the precision; auto: bf16-mixed on a device with instructions for it.

    Elsewhere bfloat16 would be worked out by other means, many times slower.
    """
    if trainer.precision != "auto":
        return trainer.precision
    accelerator = resolve_accelerator(trainer.accelerator)
    if accelerator == "gpu":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:  # an older torch cannot tell
        able: Mapping[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
        native = accelerator == "cpu" and any(able.get(name) for name in ("avx512_bf16", "amx_bf16"))
    return "bf16-mixed" if native else "32-true"


def cpu_model() -> str:
    """The processor, as it calls itself."""
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # M_TRIM_THRESHOLD and M_MMAP_MAX of glibc's malloc.h


def retain_malloc() -> bool:
    """Have the C library keep this process's freed memory; True where it can (glibc).

    By default it returns each large tensor to the system when it is freed, and the system hands the next
    one out page by page, cleared: on two cores a third of AlexNet's training step. With this the pages stay
    in the process, which then holds its peak to the end, some 15% higher than it would be. To be called
    before the first large tensors; concerns tensors on the CPU only.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return bool(mallopt(_MMAP_MAX, 0) and mallopt(_TRIM_THRESHOLD, -1))


def peak_memory_mb(accelerator: str) -> float:
    """The most so far, in 10^6 bytes.

    On a GPU, what this process's tensors took there; elsewhere, what the whole process took.
    """
    if accelerator == "gpu":
        return torch.cuda.max_memory_allocated() / 1e6
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # in KiB on Linux, in bytes on macOS
    return peak * (1 if sys.platform == "darwin" else 1024) / 1e6


LONG_ENOUGH = 0.01  # seconds
LARGEST = 8192
ROUNDS = 3


def matrix_rate(device: torch.device, precision: str) -> float:
    """Floating-point operations a second of a large matrix product: about what the device can do.

    Training can be above it: on some processors the library of convolutions is better than that of products.

    `precision` is Lightning's name. The fastest of a few, of a size that takes long enough to be timed: less
    than a second in all.
    """
    dtype = _dtype(precision)
    side, seconds = 512, 0.0
    while seconds < LONG_ENOUGH and side < LARGEST:
        side *= 2
        own = torch.Generator(device).manual_seed(0)  # the run's are none of its business
        a, b = (torch.randn(side, side, device=device, generator=own).to(dtype) for _ in range(2))
        torch.mm(a, b)  # warms up
        seconds = min(_seconds(a, b) for _ in range(ROUNDS))
    del a, b
    if device.type == "cuda":  # what these took is not the run's
        torch.cuda.reset_peak_memory_stats(device)
    return 2 * side**3 / seconds


def _seconds(a: Tensor, b: Tensor) -> float:
    synchronize(a.device)
    began = time.perf_counter()
    torch.mm(a, b)
    synchronize(a.device)
    return time.perf_counter() - began


def synchronize(device: torch.device) -> None:
    """Until what was begun on a device is done."""
    if device.type != "cpu":
        torch.accelerator.synchronize()


def _dtype(precision: str) -> torch.dtype:
    types = {"64": torch.float64, "32": torch.float32, "16": torch.float16, "bf16": torch.bfloat16}
    return types[precision.partition("-")[0]]


COMPILER_ADVICE = {
    "cuda": "Install a C compiler (gcc or clang), or give its path in CC",
    "cpu": "Install a C++ compiler (g++ or clang++), or give its path in CXX",
}
OTHER_COMPILER_ADVICE = "torch.compile may not be made for this device"


@functools.cache
def compiler_failure(device: torch.device) -> str | None:
    """The first line of what the compiler says of a tiny function on the device; None where that works.

    Nothing that an earlier process has compiled is taken for it, as it would be without a compiler, too.
    """
    try:
        compiled = torch.compile(_tiny, fullgraph=True, options={"force_disable_caches": True})
        if compiled(torch.zeros(64, device=device)).sum().item() == 64:
            return None
        return "what is compiled gives wrong results"
    except Exception as error:  # of any of the tools that take part
        if lacks_memory(error):
            raise
        return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def compiler_advice(device: torch.device) -> str:
    """What to do where nothing can be compiled; no full stop."""
    return COMPILER_ADVICE.get(device.type, OTHER_COMPILER_ADVICE)


def _tiny(x: Tensor) -> Tensor:
    return x.square() + 1
