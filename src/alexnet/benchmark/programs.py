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

from alexnet.allocator import keep_freed_memory
from alexnet.choices import Compile, DropoutScaling, Program, Strategy
from alexnet.config import AlexNetConfig, BenchmarkConfig
from alexnet.data.datamodule import MIXED
from alexnet.errors import UserError
from alexnet.model.build import build_network
from alexnet.model.dropout import Dropout
from alexnet.model.lrn import LocalResponseNorm
from alexnet.model.network import AlexNet
from alexnet.paths import CONF
from alexnet.training.devices import resolve_accelerator, resolve_device, resolve_precision
from alexnet.training.flops import count_training_flops
from alexnet.training.optimizer import build_optimizer
from alexnet.training.speed import accelerate, check_compiled, resolve_compile

BASE = Program.stock_float32  # which all others are compared with
TITLES = {
    Program.ours: "this program",
    Program.ours_compiled: "this program, compiled whole",
    Program.ours_plain: "this program, speed=plain",
    Program.stock_float32: "stock modules, float32",
    Program.stock_bfloat16: "stock modules, bfloat16",
    Program.torchvision_float32: "torchvision, float32",
    Program.torchvision_bfloat16: "torchvision, bfloat16",
    Program.torchvision_compiled: "torchvision, compiled",
}
TORCHVISION = (Program.torchvision_float32, Program.torchvision_bfloat16, Program.torchvision_compiled)
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


def choose_programs(config: BenchmarkConfig) -> list[Program]:
    """Those that were asked for, or else all but those that would say nothing new, or take very long."""
    if config.programs is not None:
        return list(dict.fromkeys(config.programs))
    programs = list(Program)
    accelerator = resolve_accelerator(config.trainer.accelerator)
    if resolve_compile(config.speed, accelerator, config.strategy.name) is Compile.network:
        programs.remove(Program.ours_compiled)
    plain = as_configured(Program.ours_plain, config)
    assert isinstance(config.model, AlexNetConfig)  # BenchmarkConfig checks it
    if (plain.speed, plain.trainer) == (config.speed, config.trainer) or not config.model.lrn:
        programs.remove(Program.ours_plain)  # without LRN it is as good as the stock modules
    if resolve_precision(replace(config.trainer, precision="auto")) != "bf16-mixed":
        for program in (Program.stock_bfloat16, Program.torchvision_bfloat16, Program.torchvision_compiled):
            programs.remove(program)  # bfloat16 by other means than instructions
    return programs


def as_configured(program: Program, config: BenchmarkConfig) -> BenchmarkConfig:
    """The configuration of one of this program's forms."""
    if program is Program.ours_compiled:
        return replace(config, speed=replace(config.speed, compile=Compile.network))
    if program is Program.ours_plain:
        settings = OmegaConf.load(CONF / "speed" / "plain.yaml")
        plain = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(config), settings))
        assert isinstance(plain, BenchmarkConfig)
        return plain
    return config


def flops_of_step(program: Program, config: BenchmarkConfig) -> float:
    """Floating-point operations of its convolutions and full connections, see `count_training_flops`."""
    with torch.device("meta"):
        network = _network(program, config)
    return config.data.batch_size * count_training_flops(network, _side(program, config))


def build_step(program: Program, config: BenchmarkConfig) -> Callable[[], None]:
    """What works out one training step of a batch of random images.

    To be called once in a process, before anything large is on the CPU.
    """
    torch.manual_seed(config.seed)
    device = device_of(config)
    ours = program in (Program.ours, Program.ours_compiled, Program.ours_plain)
    made = (_ours if ours else _peer)(program, config, device)
    side = _side(program, config)
    dtype = made.images or next(made.network.parameters()).dtype
    images = (PIXEL_SPREAD * torch.randn(config.data.batch_size, 3, side, side)).to(device, dtype)
    labels = torch.randint(config.classes, (len(images),)).to(device)
    keys = [torch.randint(2**32, (len(images),)).to(device)] if ours else []  # of this program's dropout

    def step() -> None:
        made.optimizer.zero_grad()
        with made.precision.forward_context():
            loss = cross_entropy(made.network(images, *keys), labels)
        made.precision.backward(loss, None)
        made.precision.optimizer_step(made.optimizer)

    return step


@dataclass(frozen=True)
class _Made:
    network: nn.Module
    optimizer: Optimizer
    precision: Precision
    images: torch.dtype | None = None  # the network's, where nothing else is said


def _ours(program: Program, config: BenchmarkConfig, device: torch.device) -> _Made:
    """What train.py makes of the configuration, in the same order."""
    config = as_configured(program, config)
    if config.speed.keep_freed_memory and device.type == "cpu":
        keep_freed_memory()
    torch.backends.cudnn.benchmark = config.trainer.benchmark
    torch.use_deterministic_algorithms(config.trainer.deterministic)
    if config.trainer.deterministic:  # as Lightning does; or CUDA's matrix products raise
        os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"
    name = resolve_precision(config.trainer)
    precision = _precision(name, device)
    network = build_network(config.model, config.classes)
    accelerator = resolve_accelerator(config.trainer.accelerator)
    accelerate(network, config.speed, accelerator, config.strategy.name)
    check_compiled(network, config.speed, device)
    precision.convert_module(network).to(device)
    return _Made(network, build_optimizer(network, config.optimizer), precision, MIXED.get(name))


def _peer(program: Program, config: BenchmarkConfig, device: torch.device) -> _Made:
    """As its authors would run it: eager, or bfloat16 channels-last, or that compiled."""
    network = _network(program, config).to(device)
    half = program not in (Program.stock_float32, Program.torchvision_float32)
    if half:
        network.to(memory_format=torch.channels_last)
    if program is Program.torchvision_compiled:
        network.compile()
    given = config.optimizer
    optimizer = SGD(network.parameters(), given.lr, given.momentum, weight_decay=given.weight_decay)
    return _Made(network, optimizer, _precision("bf16-mixed" if half else "32-true", device))


def _network(program: Program, config: BenchmarkConfig) -> nn.Module:
    if program in TORCHVISION:
        return alexnet(weights=None, num_classes=config.classes)
    network = build_network(config.model, config.classes)
    if program in (Program.stock_float32, Program.stock_bfloat16):
        assert isinstance(network, AlexNet)
        _take_stock_modules(network)
    return network


def _take_stock_modules(network: AlexNet) -> None:
    for stage in (network.stage1, network.stage2):
        norm = stage.lrn
        if isinstance(norm, LocalResponseNorm):
            # torch's divides alpha by the window; it knows no columns
            stage.lrn = nn.LocalResponseNorm(norm.size, norm.size * norm.alpha, norm.beta, norm.k)
    for module in network.modules():
        if isinstance(module, Dropout):
            module.scaling = DropoutScaling.train  # without keys that is torch's


def _side(program: Program, config: BenchmarkConfig) -> int:
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
