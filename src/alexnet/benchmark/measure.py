"""Timing a program's training step, and what the device can do, in this process."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from alexnet.benchmark.profiling import profile_step
from alexnet.benchmark.programs import build_step, device_of
from alexnet.choices import Compile, Program
from alexnet.config import BenchmarkConfig
from alexnet.training.devices import resolve_accelerator
from alexnet.training.flops import wait_for
from alexnet.training.memory import peak_memory_mb
from alexnet.training.speed import resolve_compile

WARM_UP = 3  # steps, the first of them timed alone
PRODUCTS = 5


@dataclass(frozen=True)
class Measurement:
    """Of one program in one process.

    `seconds` of a step; those of the `first` one, which compiles; `peak`, the most bytes that tensors took,
    on a CPU what the process took beyond its start; `product`, floating-point operations a second of a
    product of two bfloat16 matrices, right afterwards; `parts`, each part's share of a step's time.
    """

    seconds: float
    first: float
    peak: float
    product: float
    parts: dict[str, float] | None


def measure(program: Program, config: BenchmarkConfig, *, profiled: bool) -> Measurement:
    """Time a program. To be called once in a process."""
    device = device_of(config)
    accelerator = resolve_accelerator(config.trainer.accelerator)
    before = peak_memory_mb(accelerator)
    step = build_step(program, config)
    first, seconds = _first_and_following(step, config.steps, device)
    peak = 1e6 * (peak_memory_mb(accelerator) - before)
    product = _product_rate(config.matrix, device)
    whole = resolve_compile(config.speed, accelerator, config.strategy.name) is Compile.network
    parts = profile_step(step, device, "compiled kernels" if whole else "LRN") if profiled else None
    return Measurement(seconds, first, peak, product, parts)


def step_seconds(config: BenchmarkConfig) -> float:
    """Of this program's step. To be called once in a process."""
    step = build_step(Program.ours, config)
    return _first_and_following(step, config.steps, device_of(config))[1]


def _first_and_following(step: Callable[[], None], steps: int, device: torch.device) -> tuple[float, float]:
    first = _seconds(step, 1, device)
    for _ in range(WARM_UP - 1):
        step()
    return first, _seconds(step, steps, device)


def _seconds(run: Callable[[], object], times: int, device: torch.device) -> float:
    wait_for(device)
    began = time.perf_counter()
    for _ in range(times):
        run()
    wait_for(device)
    return (time.perf_counter() - began) / times


def _product_rate(side: int, device: torch.device) -> float:
    """Floating-point operations a second."""
    a, b = torch.randn(2, side, side, device=device).bfloat16()
    torch.mm(a, b)
    times = [_seconds(lambda: torch.mm(a, b), 1, device) for _ in range(PRODUCTS)]
    return 2 * side**3 / statistics.median(times)
