"""Performance options of a training step (conf/performance); none changes a result beyond rounding."""

import torch
from torch import nn

from alexnet.config import Compile, PerformanceConfig, Strategy
from alexnet.models.lrn import LocalResponseNorm

UNDIVIDED = (Strategy.auto, Strategy.single, Strategy.ddp)  # a device holds all of the network


def resolve_compile(performance: PerformanceConfig, accelerator: str, strategy: Strategy) -> Compile:
    """What of the network is compiled: never `auto`.

    On a CPU the compiler is slower than oneDNN's convolutions: auto leaves them alone.
    """
    if performance.compile is not Compile.auto:
        return performance.compile
    return Compile.network if accelerator == "gpu" and strategy in UNDIVIDED else Compile.lrn


def apply_performance_options(
    network: nn.Module, performance: PerformanceConfig, accelerator: str, strategy: Strategy
) -> None:
    """Have `network` computed as `performance` says; its parameters keep their names and values.

    To be called before an optimiser is built. A network that is divided over devices gets a compiled
    LRN only.
    """
    compiled = resolve_compile(performance, accelerator, strategy)
    for module in network.modules():
        if isinstance(module, LocalResponseNorm):
            module.compiled = None if compiled is not Compile.none else False
    if strategy not in UNDIVIDED:
        return
    if performance.channels_last:
        network.to(memory_format=torch.channels_last)
    if compiled is Compile.network:
        network.compile(
            mode="reduce-overhead" if performance.cuda_graphs and accelerator == "gpu" else "default"
        )
