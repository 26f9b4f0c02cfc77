"""Variants of the training step that is timed: this program as configured, and others that do the same work.

A step is a forward pass with dropout, the loss, a backward pass and an update, on images that are already on
the device. The others are the same network built of torch's modules, and torchvision's network, which is
smaller, without LRN, and always of width 1.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from lightning.fabric.plugins import DoublePrecision, HalfPrecision, MixedPrecision, Precision
from omegaconf import OmegaConf
from torch import nn
from torch.nn.functional import cross_entropy
from torch.optim import SGD, Optimizer
from torchvision.models import alexnet

from alexnet.callbacks.compiler_check import check_compiled
from alexnet.config import BenchmarkConfig, Compile, Strategy, Variant
from alexnet.data.datamodule import MIXED
from alexnet.errors import UserError
from alexnet.hardware import (
    precision_dtype,
    resolve_accelerator,
    resolve_device,
    resolve_precision,
    retain_malloc,
)
from alexnet.models.alexnet import AlexNet
from alexnet.models.build import build_network
from alexnet.models.dropout import Dropout
from alexnet.models.families.alexnet import AlexNetConfig, DropoutScaling
from alexnet.models.flops import count_training_flops
from alexnet.models.lrn import LocalResponseNorm
from alexnet.optim.optimizers import build_optimizer
from alexnet.optim.rules.sgd import PaperConfig
from alexnet.paths import CONF
from alexnet.training.compile import apply_performance_options, resolve_compile

BASE = Variant.stock_float32  # with which all others are compared
TITLES = {
    Variant.ours: "this program",
    Variant.ours_compiled: "this program, compiled whole",
    Variant.ours_plain: "this program, performance=plain",
    Variant.stock_float32: "stock modules, float32",
    Variant.stock_bfloat16: "stock modules, bfloat16",
    Variant.torchvision_float32: "torchvision, float32",
    Variant.torchvision_bfloat16: "torchvision, bfloat16",
    Variant.torchvision_compiled: "torchvision, compiled",
}
TORCHVISION = (Variant.torchvision_float32, Variant.torchvision_bfloat16, Variant.torchvision_compiled)
# slow where bfloat16 is emulated
BFLOAT16 = (Variant.stock_bfloat16, Variant.torchvision_bfloat16, Variant.torchvision_compiled)
TORCHVISION_SIDE = 224  # pixels
PIXEL_STD = 60.0  # about that of mean-subtracted photographs, 0-255


def check_measurable(config: BenchmarkConfig) -> None:
    """Raise `UserError` for a step on several devices, or in a precision that is not available."""
    trainer, strategy = config.trainer, config.strategy.name
    if trainer.devices * trainer.num_nodes > 1 or strategy in (Strategy.fsdp, Strategy.model_parallel):
        raise UserError(
            f"trainer.devices={trainer.devices}, strategy={strategy.value}: a step is measured on one device."
            " Leave both out. Several devices: python benchmarks/placement.py"
        )
    accelerator, precision = resolve_accelerator(trainer.accelerator), resolve_precision(trainer)
    if precision == "16-mixed" and accelerator == "cpu":
        raise UserError(
            "trainer.precision=16-mixed: not available on a CPU, where train.py takes bf16-mixed instead."
            " Choose that."
        )


def device_of(config: BenchmarkConfig) -> torch.device:
    """Return the device that train.py would use."""
    return resolve_device(config.trainer.accelerator)


def choose_variants(config: BenchmarkConfig) -> list[Variant]:
    """Return the configured variants, or all but those that would show nothing new or take very long."""
    if config.variants is not None:
        return list(dict.fromkeys(config.variants))
    variants = list(Variant)
    accelerator = resolve_accelerator(config.trainer.accelerator)
    if resolve_compile(config.performance, accelerator, config.strategy.name) is Compile.network:
        variants.remove(Variant.ours_compiled)
    plain = variant_config(Variant.ours_plain, config)
    assert isinstance(config.model, AlexNetConfig)  # BenchmarkConfig checks it
    if (plain.performance, plain.trainer) == (config.performance, config.trainer) or not config.model.lrn:
        variants.remove(Variant.ours_plain)  # without LRN it is the same as the stock modules
    if native_dtype(config) is not torch.bfloat16:
        for variant in BFLOAT16:
            variants.remove(variant)
    return variants


def native_dtype(config: BenchmarkConfig) -> torch.dtype:
    """Return bfloat16 if the device computes in it natively, else float32."""
    return precision_dtype(resolve_precision(replace(config.trainer, precision="auto")))


def variant_config(variant: Variant, config: BenchmarkConfig) -> BenchmarkConfig:
    """Return the configuration of a variant of this program."""
    if variant is Variant.ours_compiled:
        return replace(config, performance=replace(config.performance, compile=Compile.network))
    if variant is Variant.ours_plain:
        settings = OmegaConf.load(CONF / "performance" / "plain.yaml")
        plain = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(config), settings))
        assert isinstance(plain, BenchmarkConfig)
        return plain
    return config


def flops_of_step(variant: Variant, config: BenchmarkConfig) -> float:
    """Count the floating-point operations of a step as `count_training_flops` does."""
    with torch.device("meta"):
        network = _network(variant, config)
    return config.data.batch_size * count_training_flops(network, _side(variant, config))


Step = Callable[[], None]


def build_step(variant: Variant, config: BenchmarkConfig) -> Step:
    """Return a function that computes a training step on a batch of random images.

    Call this once in a process, before large tensors are allocated on the CPU.
    """
    return build_steps(variant, config)(config.data.batch_size)


def build_steps(variant: Variant, config: BenchmarkConfig) -> Callable[[int], Step]:
    """Return a function that makes `build_step`'s step for any batch size, of one network."""
    torch.manual_seed(config.seed)
    device = device_of(config)
    ours = variant in (Variant.ours, Variant.ours_compiled, Variant.ours_plain)
    built = (_build_ours if ours else _build_peer)(variant, config, device)
    side = _side(variant, config)
    dtype = built.image_dtype or next(built.network.parameters()).dtype

    def step_of(batch_size: int) -> Step:
        images = (PIXEL_STD * torch.randn(batch_size, 3, side, side)).to(device, dtype)
        labels = torch.randint(config.classes, (batch_size,)).to(device)
        # an argument of this program's dropout only
        dropout_seeds = [torch.randint(2**32, (batch_size,)).to(device)] if ours else []

        def step() -> None:
            built.optimizer.zero_grad()
            with built.precision.forward_context():
                loss = cross_entropy(built.network(images, *dropout_seeds), labels)
            built.precision.backward(loss, None)
            built.precision.optimizer_step(built.optimizer)

        return step

    return step_of


@dataclass(frozen=True)
class _Built:
    network: nn.Module
    optimizer: Optimizer
    precision: Precision
    image_dtype: torch.dtype | None = None  # None: that of the network's weights


def _build_ours(variant: Variant, config: BenchmarkConfig, device: torch.device) -> _Built:
    """Build what train.py builds from the configuration, in the same order."""
    config = variant_config(variant, config)
    if config.performance.retain_malloc and device.type == "cpu":
        retain_malloc()
    torch.backends.cudnn.benchmark = config.trainer.benchmark
    torch.use_deterministic_algorithms(config.trainer.deterministic)
    if config.trainer.deterministic:  # as Lightning does; without it CUDA's matrix products raise
        os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"
    name = resolve_precision(config.trainer)
    precision = _precision(name, device)
    network = build_network(config.model, config.classes)
    accelerator = resolve_accelerator(config.trainer.accelerator)
    apply_performance_options(network, config.performance, accelerator, config.strategy.name)
    check_compiled(network, config.performance, device)
    precision.convert_module(network).to(device)
    return _Built(network, build_optimizer(network, config.optimizer), precision, MIXED.get(name))


def _build_peer(variant: Variant, config: BenchmarkConfig, device: torch.device) -> _Built:
    """Build a variant as its authors would run it: eager, in bfloat16 channels-last, or compiled as well."""
    network = _network(variant, config).to(device)
    bfloat16 = variant not in (Variant.stock_float32, Variant.torchvision_float32)
    if bfloat16:
        network.to(memory_format=torch.channels_last)
    if variant is Variant.torchvision_compiled:
        graphs = config.performance.cuda_graphs and device.type == "cuda"  # as this program is
        network.compile(mode="reduce-overhead" if graphs else "default")
    settings = config.optimizer
    groups = [
        {"params": list(network.parameters()), "lr": settings.lr, "weight_decay": settings.weight_decay}
    ]
    if isinstance(settings, PaperConfig):
        optimizer: Optimizer = SGD(groups, momentum=settings.momentum)
    else:
        optimizer = settings.build(groups)
    return _Built(network, optimizer, _precision("bf16-mixed" if bfloat16 else "32-true", device))


def _network(variant: Variant, config: BenchmarkConfig) -> nn.Module:
    if variant in TORCHVISION:
        return alexnet(weights=None, num_classes=config.classes)
    network = build_network(config.model, config.classes)
    if variant in (Variant.stock_float32, Variant.stock_bfloat16):
        assert isinstance(network, AlexNet)
        _use_stock_modules(network)
    return network


def _use_stock_modules(network: AlexNet) -> None:
    for stage in (network.stage1, network.stage2):
        norm = stage.lrn
        if isinstance(norm, LocalResponseNorm):
            # torch's divides alpha by the window, and has no columns
            stage.lrn = nn.LocalResponseNorm(norm.size, norm.size * norm.alpha, norm.beta, norm.k)
    for module in network.modules():
        if isinstance(module, Dropout):
            module.scaling = DropoutScaling.train  # without dropout_seeds this is torch's dropout


def _side(variant: Variant, config: BenchmarkConfig) -> int:
    return TORCHVISION_SIDE if variant in TORCHVISION else config.model.image_size


def _precision(name: str, device: torch.device) -> Precision:
    """Return the plugin that Lightning's Trainer would use for the precision of that name."""
    if name == "64-true":
        return DoublePrecision()
    if name == "bf16-true":
        return HalfPrecision("bf16-true")
    if name == "bf16-mixed":
        return MixedPrecision("bf16-mixed", device.type)
    if name == "16-mixed":
        return MixedPrecision("16-mixed", device.type)
    return Precision()
