"""The fast ways to work out a network's step (conf/speed); none changes a result beyond rounding."""

import logging
from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer
from torch import nn

from alexnet.choices import Compile, Strategy
from alexnet.config import SpeedConfig
from alexnet.errors import UserError
from alexnet.model.lrn import LocalResponseNorm
from alexnet.training.compiler import advice, why_not_compiled

log = logging.getLogger(__name__)

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


def check_compiled(network: nn.Module, speed: SpeedConfig, device: torch.device) -> None:
    """Leave a network uncompiled that was to be compiled, where this machine cannot; warn of it.

    To be called before the first step, which would fail half done. Raises `UserError` where compiling was
    asked for.
    """
    if network._compiled_call_impl is None or (problem := why_not_compiled(device)) is None:
        return
    if speed.compile is not Compile.auto:
        raise UserError(
            f"speed.compile={speed.compile.value}: nothing can be compiled for {device.type} here: {problem}"
            f" {advice(device)}, or choose speed.compile=none."
        )
    log.warning(
        f"The network is not compiled, and slower: nothing can be compiled for {device.type} here: {problem}"
        f" {advice(device)}; speed.compile=none is silent."
    )
    network._compiled_call_impl = None
    for module in network.modules():
        if isinstance(module, LocalResponseNorm):
            module.compiled = False


class CompilerCheck(Callback):
    """`check_compiled` on each rank's own device, which is known when the strategy is set up."""

    def __init__(self, speed: SpeedConfig) -> None:
        self.speed = speed

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        network: Any = pl_module.network
        check_compiled(network, self.speed, trainer.strategy.root_device)
