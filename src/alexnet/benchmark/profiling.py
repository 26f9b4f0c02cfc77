"""Where a step's time goes."""

import os
from collections import Counter
from collections.abc import Callable
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from alexnet.training.flops import wait_for

# what the profiler's names are about, the first that fits
PARTS = {
    "convolutions, backward": ("convolution_backward", "dgrad", "wgrad"),
    "convolutions, forward": ("convolution", "conv2d", "fprop"),
    "LRN": ("LocalResponseNorm",),
    "pooling": ("max_pool",),
    "fully connected": ("addmm", "aten::mm", "gemm", "nvjet"),
    "update": ("sgd", "SGD", "Sgd"),
    "casts and copies": ("copy_", "_to_copy"),
    "ReLU": ("clamp_min", "threshold", "relu"),
}
COMPILED = ("CompiledFxGraph", "triton")
OTHER = "other"


def profile_step(step: Callable[[], None], device: torch.device, compiled: str) -> dict[str, float]:
    """Each part's share of the time, the largest first; `compiled` is what the compiler's kernels are."""
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # or it complains where there is no GPU
    gpu = device.type == "cuda"
    with profile(activities=[ProfilerActivity.CUDA if gpu else ProfilerActivity.CPU]) as profiler:
        step()
        wait_for(device)
    spent: Counter[str] = Counter()
    for event in profiler.events() or ():
        time = event.self_device_time_total if gpu else event.self_cpu_time_total
        spent[_part(event, compiled)] += time
    return {part: time / spent.total() for part, time in spent.most_common()}


def _part(event: Any, compiled: str) -> str:
    """Of the operation itself, or of the nearest one that called it and that is known."""
    while event is not None:
        if any(word in event.name for word in COMPILED):
            return compiled
        for part, words in PARTS.items():
            if any(word in event.name for word in words):
                return part
        event = event.cpu_parent
    return OTHER
