"""Timing and profiling of a training step in this process."""

import os
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from alexnet.benchmark.variants import Step, build_step, device_of, native_dtype
from alexnet.config import BenchmarkConfig, Compile, Variant
from alexnet.hardware import ieee_float32, peak_memory_mb, product_rate, resolve_accelerator, synchronize
from alexnet.training.compile import resolve_compile

WARM_UP = 3  # steps, the first of them timed alone
FEW_STEPS = 5
STEPS = {"cuda": 50}  # which take as little time as a CPU's first one
PRODUCT_SECONDS = 0.5  # for which the matrix product is repeated


@dataclass(frozen=True)
class Measurement:
    """Measurement of one variant in one process.

    `seconds` is the time of a step, `first` that of the first step, which compiles. `peak` is the most bytes
    that tensors took; on a CPU, what the process took beyond its start. `product` is the rate of a product of
    two matrices of `native_dtype` right afterwards, in floating-point operations a second. `parts` holds
    each part's share of a step's time.
    """

    seconds: float
    first: float
    peak: float
    product: float
    parts: dict[str, float] | None


@ieee_float32()
def measure(variant: Variant, config: BenchmarkConfig, *, profiled: bool) -> Measurement:
    """Time a variant. Call this once in a process."""
    device = device_of(config)
    accelerator = resolve_accelerator(config.trainer.accelerator)
    before = peak_memory_mb(accelerator)
    step = build_step(variant, config)
    first, seconds = _first_and_following(step, timed_steps(config), device)
    peak = 1e6 * (peak_memory_mb(accelerator) - before)
    product = product_rate(config.matrix, native_dtype(config), device, PRODUCT_SECONDS)
    compiled = resolve_compile(config.performance, accelerator, config.strategy.name) is Compile.network
    parts = profile_step(step, device, "compiled kernels" if compiled else "LRN") if profiled else None
    return Measurement(seconds, first, peak, product, parts)


@ieee_float32()
def step_seconds(config: BenchmarkConfig) -> float:
    """Return the time of a step of this program as configured. Call this once in a process."""
    step = build_step(Variant.ours, config)
    return _first_and_following(step, timed_steps(config), device_of(config))[1]


def timed_steps(config: BenchmarkConfig) -> int:
    """Return how many steps are timed in each round: as configured, or more of them on a GPU."""
    return config.steps or STEPS.get(device_of(config).type, FEW_STEPS)


def _first_and_following(step: Step, steps: int, device: torch.device) -> tuple[float, float]:
    first = _seconds(step, 1, device)
    for _ in range(WARM_UP - 1):
        step()
    return first, _seconds(step, steps, device)


def _seconds(run: Callable[[], object], times: int, device: torch.device) -> float:
    synchronize(device)
    began = time.perf_counter()
    for _ in range(times):
        run()
    synchronize(device)
    return (time.perf_counter() - began) / times


# words in the profiler's event names that identify the part; the first match counts
PARTS = {
    "convolutions, backward": ("convolution_backward", "dgrad", "wgrad", "Dgrad", "Wgrad"),
    "convolutions, forward": ("convolution", "conv2d", "fprop", "Fprop", "convolve"),
    "LRN": ("LocalResponseNorm",),
    "pooling": ("max_pool",),
    "fully connected": ("addmm", "aten::mm", "gemm", "nvjet", "splitKreduce"),
    "update": ("sgd", "SGD", "Sgd", "multi_tensor_apply"),
    "loss": ("softmax", "SoftMax", "nll_loss"),
    "casts and copies": (
        *("copy_", "_to_copy", "Memcpy", "ToNhwc", "ToNchw", "convertTensor"),
        *("AddPadding", "SliceC", "tensorTransform"),  # cuDNN: channels by eights for its matrix products
    ),
    "ReLU": ("clamp_min", "threshold", "relu"),
}
COMPILED = ("CompiledFxGraph", "triton")
OTHER = "other"
PROFILED_STEPS = 10  # on a GPU, whose steps are short; one on a CPU


def profile_step(step: Step, device: torch.device, compiled: str) -> dict[str, float]:
    """Return each part's share of the time, the largest first; `compiled` names the compiler's kernels."""
    return shares(profile_kernels(step, device, compiled))


def shares(spent: dict[tuple[str, str], float]) -> dict[str, float]:
    """Return each part's share of the time of `profile_kernels`, the largest first."""
    total, parts = sum(spent.values()), dict.fromkeys((part for part, _ in spent), 0.0)
    for (part, _), microseconds in spent.items():
        parts[part] += microseconds / total
    return dict(sorted(parts.items(), key=lambda item: -item[1]))


def profile_kernels(step: Step, device: torch.device, compiled: str) -> dict[tuple[str, str], float]:
    """Return the microseconds of a step by part and kernel, on a CPU by part and operation."""
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # without it Kineto complains that there is no GPU
    gpu = device.type == "cuda"
    steps = PROFILED_STEPS if gpu else 1
    with profile(activities=[ProfilerActivity.CUDA if gpu else ProfilerActivity.CPU]) as profiler:
        for _ in range(steps):
            step()
        synchronize(device)
    spent: dict[tuple[str, str], float] = defaultdict(float)
    for event in profiler.events() or ():
        if gpu and event.device_type.name == "CPU":
            continue
        microseconds = event.self_device_time_total if gpu else event.self_cpu_time_total
        spent[_part(event, compiled), event.name] += microseconds / steps
    return dict(spent)


def _part(event: Any, compiled: str) -> str:
    """Return the part of an operation, or of its nearest caller whose part is known."""
    while event is not None:
        if any(word in event.name for word in COMPILED):
            return compiled
        for part, words in PARTS.items():
            if any(word in event.name for word in words):
                return part
        event = event.cpu_parent
    return OTHER
