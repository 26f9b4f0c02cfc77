"""Fallback to eager execution where torch.compile does not work."""

import logging
from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer
from torch import nn

from alexnet.config import Compile, PerformanceConfig
from alexnet.errors import UserError
from alexnet.hardware import compiler_advice, compiler_failure
from alexnet.models.lrn import LocalResponseNorm

log = logging.getLogger(__name__)


def check_compiled(network: nn.Module, performance: PerformanceConfig, device: torch.device) -> None:
    """Turn off a network's compilation, with a warning, where nothing can be compiled for `device`.

    Call this before the first step, which would fail halfway. Raises `UserError` where compilation was
    requested explicitly, not by `auto`.
    """
    if network._compiled_call_impl is None or (problem := compiler_failure(device)) is None:
        return
    if performance.compile is not Compile.auto:
        raise UserError(
            f"performance.compile={performance.compile.value}: nothing can be compiled for {device.type}:"
            f" {problem} {compiler_advice(device)}, or choose performance.compile=none."
        )
    log.warning(
        f"The network runs uncompiled, and slower: nothing can be compiled for {device.type}: {problem}"
        f" {compiler_advice(device)}; performance.compile=none silences this warning."
    )
    network._compiled_call_impl = None
    for module in network.modules():
        if isinstance(module, LocalResponseNorm):
            module.compiled = False


class CompilerCheck(Callback):
    """Call `check_compiled` for each rank's own device, once the strategy is set up.

    Also tells the LRN how many steps the run has: whether its compilation pays off depends on it.
    """

    def __init__(self, performance: PerformanceConfig) -> None:
        self.performance = performance

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        network: Any = pl_module.network
        check_compiled(network, self.performance, trainer.strategy.root_device)

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        for module in pl_module.modules():
            if isinstance(module, LocalResponseNorm):
                module.calls = trainer.estimated_stepping_batches
