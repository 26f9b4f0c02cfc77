"""The programs that are timed: this one as configured, and others that do the same work.

A step is a forward pass with dropout, the loss, a backward pass and an update, on images that are on the
device already. The others are the same network of torch's modules, and torchvision's network, which is a
smaller one, without LRN, and always of width 1.
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
from alexnet.config import AlexNetConfig, BenchmarkConfig, Compile, DropoutScaling, Strategy, Variant
from alexnet.data.datamodule import MIXED
from alexnet.errors import UserError
from alexnet.hardware import resolve_accelerator, resolve_device, resolve_precision, retain_malloc
from alexnet.models.alexnet import AlexNet
from alexnet.models.build import build_network
from alexnet.models.dropout import Dropout
from alexnet.models.flops import count_training_flops
from alexnet.models.lrn import LocalResponseNorm
from alexnet.optim.optimizers import build_optimizer
from alexnet.paths import CONF
from alexnet.training.compile import apply_performance_options, resolve_compile

BASE = Variant.stock_float32  # which all others are compared with
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
TORCHVISION_SIDE = 224  # pixels
PIXEL_SPREAD = 60.0  # about that of photographs, 0-255, less their mean


def check_measurable(config: BenchmarkConfig) -> None:
    """Raise `UserError` for a configuration whose step is not one device's, or not what it says."""
    trainer, strategy = config.trainer, config.strategy.name
    if trainer.devices * trainer.num_nodes > 1 or strategy in (Strategy.fsdp, Strategy.model_parallel):
        raise UserError(
            f"trainer.devices={trainer.devices}, strategy={strategy.value}: a step is measured on one device."
            " Leave both out. Several devices: python benchmarks/placement.py"
        )
    accelerator, precision = resolve_accelerator(trainer.accelerator), resolve_precision(trainer)
    if precision == "16-mixed" and accelerator == "cpu":
        raise UserError(
            "trainer.precision=16-mixed: there is none on a CPU, where train.py takes bf16-mixed in its"
            " place. Choose that."
        )


def device_of(config: BenchmarkConfig) -> torch.device:
    """The device that train.py would take."""
    return resolve_device(config.trainer.accelerator)


def choose_variants(config: BenchmarkConfig) -> list[Variant]:
    """Those that were asked for, or else all but those that would say nothing new, or take very long."""
    if config.variants is not None:
        return list(dict.fromkeys(config.variants))
    programs = list(Variant)
    accelerator = resolve_accelerator(config.trainer.accelerator)
    if resolve_compile(config.performance, accelerator, config.strategy.name) is Compile.network:
        programs.remove(Variant.ours_compiled)
    plain = as_configured(Variant.ours_plain, config)
    assert isinstance(config.model, AlexNetConfig)  # BenchmarkConfig checks it
    if (plain.performance, plain.trainer) == (config.performance, config.trainer) or not config.model.lrn:
        programs.remove(Variant.ours_plain)  # without LRN it is as good as the stock modules
    if resolve_precision(replace(config.trainer, precision="auto")) != "bf16-mixed":
        for program in (Variant.stock_bfloat16, Variant.torchvision_bfloat16, Variant.torchvision_compiled):
            programs.remove(program)  # bfloat16 by other means than instructions
    return programs


def as_configured(program: Variant, config: BenchmarkConfig) -> BenchmarkConfig:
    """The configuration of one of this program's forms."""
    if program is Variant.ours_compiled:
        return replace(config, performance=replace(config.performance, compile=Compile.network))
    if program is Variant.ours_plain:
        settings = OmegaConf.load(CONF / "performance" / "plain.yaml")
        plain = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(config), settings))
        assert isinstance(plain, BenchmarkConfig)
        return plain
    return config


def flops_of_step(program: Variant, config: BenchmarkConfig) -> float:
    """Floating-point operations of its convolutions and full connections, see `count_training_flops`."""
    with torch.device("meta"):
        network = _network(program, config)
    return config.data.batch_size * count_training_flops(network, _side(program, config))


def build_step(program: Variant, config: BenchmarkConfig) -> Callable[[], None]:
    """What works out one training step of a batch of random images.

    To be called once in a process, before anything large is on the CPU.
    """
    torch.manual_seed(config.seed)
    device = device_of(config)
    ours = program in (Variant.ours, Variant.ours_compiled, Variant.ours_plain)
    made = (_build_ours if ours else _build_peer)(program, config, device)
    side = _side(program, config)
    dtype = made.images or next(made.network.parameters()).dtype
    images = (PIXEL_SPREAD * torch.randn(config.data.batch_size, 3, side, side)).to(device, dtype)
    labels = torch.randint(config.classes, (len(images),)).to(device)
    dropout_seeds = (
        [torch.randint(2**32, (len(images),)).to(device)] if ours else []
    )  # of this program's dropout

    def step() -> None:
        made.optimizer.zero_grad()
        with made.precision.forward_context():
            loss = cross_entropy(made.network(images, *dropout_seeds), labels)
        made.precision.backward(loss, None)
        made.precision.optimizer_step(made.optimizer)

    return step


@dataclass(frozen=True)
class _Built:
    network: nn.Module
    optimizer: Optimizer
    precision: Precision
    images: torch.dtype | None = None  # the network's, where nothing else is said


def _build_ours(program: Variant, config: BenchmarkConfig, device: torch.device) -> _Built:
    """What train.py makes of the configuration, in the same order."""
    config = as_configured(program, config)
    if config.performance.retain_malloc and device.type == "cpu":
        retain_malloc()
    torch.backends.cudnn.benchmark = config.trainer.benchmark
    torch.use_deterministic_algorithms(config.trainer.deterministic)
    if config.trainer.deterministic:  # as Lightning does; or CUDA's matrix products raise
        os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"
    name = resolve_precision(config.trainer)
    precision = _precision(name, device)
    network = build_network(config.model, config.classes)
    accelerator = resolve_accelerator(config.trainer.accelerator)
    apply_performance_options(network, config.performance, accelerator, config.strategy.name)
    check_compiled(network, config.performance, device)
    precision.convert_module(network).to(device)
    return _Built(network, build_optimizer(network, config.optimizer), precision, MIXED.get(name))


def _build_peer(program: Variant, config: BenchmarkConfig, device: torch.device) -> _Built:
    """As its authors would run it: eager, or bfloat16 channels-last, or that compiled."""
    network = _network(program, config).to(device)
    half = program not in (Variant.stock_float32, Variant.torchvision_float32)
    if half:
        network.to(memory_format=torch.channels_last)
    if program is Variant.torchvision_compiled:
        network.compile()
    given = config.optimizer
    optimizer = SGD(network.parameters(), given.lr, given.momentum, weight_decay=given.weight_decay)
    return _Built(network, optimizer, _precision("bf16-mixed" if half else "32-true", device))


def _network(program: Variant, config: BenchmarkConfig) -> nn.Module:
    if program in TORCHVISION:
        return alexnet(weights=None, num_classes=config.classes)
    network = build_network(config.model, config.classes)
    if program in (Variant.stock_float32, Variant.stock_bfloat16):
        assert isinstance(network, AlexNet)
        _use_stock_modules(network)
    return network


def _use_stock_modules(network: AlexNet) -> None:
    for stage in (network.stage1, network.stage2):
        norm = stage.lrn
        if isinstance(norm, LocalResponseNorm):
            # torch's divides alpha by the window; it knows no columns
            stage.lrn = nn.LocalResponseNorm(norm.size, norm.size * norm.alpha, norm.beta, norm.k)
    for module in network.modules():
        if isinstance(module, Dropout):
            module.scaling = DropoutScaling.train  # without dropout_seeds that is torch's


def _side(program: Variant, config: BenchmarkConfig) -> int:
    return TORCHVISION_SIDE if program in TORCHVISION else config.model.image_size


def _precision(name: str, device: torch.device) -> Precision:
    """What Lightning's Trainer does for its precision of that name, without a trainer."""
    if name == "64-true":
        return DoublePrecision()
    if name == "bf16-true":
        return HalfPrecision("bf16-true")
    if name == "bf16-mixed":
        return MixedPrecision("bf16-mixed", device.type)
    if name == "16-mixed":
        return MixedPrecision("16-mixed", device.type)
    return Precision()
