"""The fast ways to work out a network's step (conf/speed); none changes a result beyond rounding."""

import torch
from torch import nn

from alexnet.choices import Compile, Strategy
from alexnet.config import SpeedConfig
from alexnet.model.lrn import LocalResponseNorm

WHOLE = (Strategy.auto, Strategy.single, Strategy.ddp)  # a device holds all of the network


def resolve_compile(speed: SpeedConfig, accelerator: str, strategy: Strategy) -> Compile:
    """What of the network is compiled: never `auto`.

    On a CPU the compiler is slower than oneDNN's convolutions: auto leaves them alone.
    """
    if speed.compile is not Compile.auto:
        return speed.compile
    return Compile.network if accelerator == "gpu" and strategy in WHOLE else Compile.lrn


def accelerate(network: nn.Module, speed: SpeedConfig, accelerator: str, strategy: Strategy) -> None:
    """Have `network` computed as `speed` says; its parameters keep their names and values.

    To be called before an optimiser is built. A network that is divided over devices gets a compiled
    LRN only.
    """
    compiled = resolve_compile(speed, accelerator, strategy)
    for module in network.modules():
        if isinstance(module, LocalResponseNorm):
            module.compiled = None if compiled is not Compile.none else False
    if strategy not in WHOLE:
        return
    if speed.channels_last:
        network.to(memory_format=torch.channels_last)
    if compiled is Compile.network:
        network.compile(mode="reduce-overhead" if speed.cuda_graphs and accelerator == "gpu" else "default")
