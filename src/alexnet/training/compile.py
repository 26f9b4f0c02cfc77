"""Performance options of a training step (conf/performance); none changes results beyond rounding."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from alexnet.config import Compile, PerformanceConfig, Strategy
from alexnet.models.lrn import LocalResponseNorm
from alexnet.models.lrn_compiled import mark_batch_dynamic

UNDIVIDED = (Strategy.auto, Strategy.single, Strategy.ddp)  # each device holds the whole network


def resolve_compile(performance: PerformanceConfig, accelerator: str, strategy: Strategy) -> Compile:
    """Return which part of the network is compiled, with `auto` resolved.

    On a CPU the compiler is slower than oneDNN's convolutions: there, `auto` compiles the LRN alone.
    """
    if performance.compile is not Compile.auto:
        return performance.compile
    return Compile.network if accelerator == "gpu" and strategy in UNDIVIDED else Compile.lrn


def apply_performance_options(
    network: nn.Module, performance: PerformanceConfig, accelerator: str, strategy: Strategy
) -> None:
    """Set memory format and compilation of `network`; its parameters keep their names and values.

    Call this before an optimizer is built. In a network that is divided among devices, only the LRN is
    compiled.
    """
    compiled = resolve_compile(performance, accelerator, strategy)
    for module in network.modules():
        if isinstance(module, LocalResponseNorm):
            module.compiled = None if compiled is not Compile.none else False
    if strategy not in UNDIVIDED:
        return
    if performance.channels_last:
        network.to(memory_format=torch.channels_last)
        if compiled is not Compile.network:  # the compiler chooses layouts itself
            network.register_forward_pre_hook(_to_channels_last)
    if compiled is Compile.network:
        network.compile(
            mode="reduce-overhead" if performance.cuda_graphs and accelerator == "gpu" else "default"
        )
        network._compiled_call_impl = _for_any_batch(network)


def _to_channels_last(network: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Convert the images once; the first convolution would do so in its forward and backward pass."""
    images, *others = inputs
    return images.contiguous(memory_format=torch.channels_last), *others


def _for_any_batch(network: nn.Module) -> Callable[..., Tensor]:
    """Let one compilation of a network serve any number of images.

    The batches of an epoch differ by an image, and those of training and validation differ: each first size
    would be compiled for itself, and the second one for any number.
    """
    compiled = network._compiled_call_impl
    assert compiled is not None

    def call(*inputs: Tensor) -> Tensor:
        return compiled(*map(mark_batch_dynamic, inputs))

    return call
