"""Configuration of `train.py`: one training run."""

import os
import re
from dataclasses import dataclass, field
from enum import Enum

from omegaconf import MISSING

from alexnet.config.base import (
    InputPath,
    OutputPath,
    ProgramConfig,
    ValidatedConfig,
    check,
    check_positive,
)
from alexnet.config.callbacks import CALLBACKS, CallbacksConfig
from alexnet.config.data import DataConfig
from alexnet.config.loss import LossConfig
from alexnet.config.model import ModelConfig
from alexnet.config.optim import OptimizerConfig, SchedulerConfig
from alexnet.config.registry import ConfigRegistry
from alexnet.config.study import StudyConfig


class Accelerator(Enum):
    """Kind of device to train on."""

    auto = "auto"
    cpu = "cpu"
    gpu = "gpu"
    mps = "mps"


class Strategy(Enum):
    """How the network is distributed over devices."""

    auto = "auto"
    single = "single"
    ddp = "ddp"
    fsdp = "fsdp"
    model_parallel = "model_parallel"


class Compile(Enum):
    """What torch.compile compiles."""

    auto = "auto"
    network = "network"
    lrn = "lrn"
    none = "none"


class WandbMode(Enum):
    """Mode of W&B; `auto` is online if the user is logged in, else offline."""

    auto = "auto"
    online = "online"
    offline = "offline"


@dataclass
class StrategyConfig(ValidatedConfig):
    """Distribution of the network over devices."""

    name: Strategy = MISSING

    def copies(self, devices: int) -> int:
        """Return the number of copies of the network on `devices` devices in all."""
        return devices


STRATEGIES = ConfigRegistry("strategy", StrategyConfig, "strategy", "name")
for _strategy in (Strategy.auto, Strategy.single, Strategy.ddp, Strategy.fsdp):
    STRATEGIES.register(_strategy.value)(StrategyConfig)


@STRATEGIES.register("model_parallel")
@dataclass
class ModelParallelConfig(StrategyConfig):
    """One column of the network on each device, in `data_parallel_size` copies of the network."""

    data_parallel_size: int = MISSING

    def copies(self, devices: int) -> int:
        return self.data_parallel_size

    def check(self) -> None:
        size = self.data_parallel_size
        check(size >= 1, "strategy.data_parallel_size", size, "1 or more copies of the network")


@dataclass
class PerformanceConfig(ValidatedConfig):
    """How a training step is computed; nothing here changes a result beyond rounding."""

    compile: Compile = MISSING
    cuda_graphs: bool = MISSING
    channels_last: bool = MISSING
    retain_malloc: bool = MISSING


@dataclass
class TrainerConfig(ValidatedConfig):
    """Arguments of Lightning's Trainer, under its names, and how long processes wait for each other."""

    accelerator: Accelerator = MISSING
    devices: int = MISSING
    num_nodes: int = MISSING
    precision: str = MISSING
    max_epochs: int = MISSING
    max_time: str | None = MISSING
    check_val_every_n_epoch: int = MISSING
    limit_train_batches: int | float | None = MISSING
    limit_val_batches: int | float | None = MISSING
    gradient_clip_val: float | None = None
    gradient_clip_algorithm: str = "norm"
    log_every_n_steps: int = MISSING
    deterministic: bool = MISSING
    benchmark: bool = MISSING
    rendezvous_timeout: float = MISSING

    def check(self) -> None:
        for key in ("devices", "num_nodes", "max_epochs", "check_val_every_n_epoch", "log_every_n_steps"):
            check(getattr(self, key) >= 1, f"trainer.{key}", getattr(self, key), "a whole number from 1 up")
        check_positive("trainer.rendezvous_timeout", self.rendezvous_timeout)
        precisions = ("auto", "32-true", "64-true", "bf16-mixed", "16-mixed", "bf16-true")
        check(
            self.precision in precisions,
            "trainer.precision",
            self.precision,
            f"one of {', '.join(precisions)}",
        )
        algorithms = ("norm", "value")
        expected = f"one of {', '.join(algorithms)}"
        key = "trainer.gradient_clip_algorithm"
        check(self.gradient_clip_algorithm in algorithms, key, self.gradient_clip_algorithm, expected)
        for key in ("limit_train_batches", "limit_val_batches", "gradient_clip_val"):
            check_positive(f"trainer.{key}", getattr(self, key))
        for key in ("limit_train_batches", "limit_val_batches"):
            limit = getattr(self, key)
            whole = limit is None or limit <= 1 or limit == int(limit)
            check(whole, f"trainer.{key}", limit, "a number of batches, or a fraction of them below 1")
        check(
            self.max_time is None or re.fullmatch(r"\d+:\d\d:\d\d:\d\d", self.max_time) is not None,
            "trainer.max_time",
            self.max_time,
            "days:hours:minutes:seconds, such as 00:08:00:00 for eight hours",
        )


@dataclass
class LoggerConfig(ValidatedConfig):
    """Experiment tracking in addition to the run folder, whose own files are all of `csv`."""

    kind: str = MISSING


LOGGERS = ConfigRegistry("logger", LoggerConfig, "logger", "kind")
LOGGERS.register("csv")(LoggerConfig)


WANDB_MODES = ("online", "offline", "shared", "disabled", "dryrun", "run")  # those of wandb.Settings


@LOGGERS.register("wandb")
@dataclass
class WandbConfig(LoggerConfig):
    """Weights & Biases."""

    project: str = MISSING
    entity: str | None = MISSING
    mode: WandbMode = MISSING
    group: str | None = MISSING
    job_type: str | None = MISSING
    name: str | None = MISSING
    tags: list[str] = MISSING
    log_checkpoint: bool = MISSING

    def check(self) -> None:
        mode = os.environ.get("WANDB_MODE") or "online"
        check(mode in WANDB_MODES, "WANDB_MODE", mode, f"one of {', '.join(WANDB_MODES)}")


@dataclass
class ClaimConfig(ValidatedConfig):
    """The claim that an experiment tests, with the numbers of the paper and of the 2012 program's run log.

    `top1` and `top5`, and `log_top1` and `log_top5`, are the experiment's error minus that of its
    baseline, in percentage points: positive if the innovation that is switched off was useful.
    `higher` is a claim in words alone: that the error is higher.
    `epochs_ratio` is how many times the baseline's epochs it takes to the same training error. `year` is
    that of an idea that came after AlexNet; its claim is of another network, and `section` is empty.
    """

    text: str = MISSING
    section: str = MISSING
    top1: float | None = None
    top5: float | None = None
    higher: bool = False
    split: str | None = None
    log_top1: float | None = None
    log_top5: float | None = None
    log_split: str | None = None
    log_file: str | None = None
    epochs_ratio: float | None = None
    year: int | None = None


@dataclass
class TrainConfig(ProgramConfig):
    """Configuration of `train.py`. Groups whose class depends on the choice have no default."""

    seed: int = MISSING
    claim: ClaimConfig | None = None
    study: StudyConfig | None = None
    outputs: OutputPath = MISSING
    run_folder: OutputPath | None = MISSING
    resume: InputPath | None = MISSING
    model: ModelConfig = MISSING
    data: DataConfig = MISSING
    optimizer: OptimizerConfig = MISSING
    scheduler: SchedulerConfig = MISSING
    loss: LossConfig = MISSING
    strategy: StrategyConfig = MISSING
    performance: PerformanceConfig = field(default_factory=PerformanceConfig)
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    logger: LoggerConfig = MISSING
    callbacks: CallbacksConfig = field(default_factory=CallbacksConfig)

    def check(self) -> None:
        check(0 <= self.seed < 2**32, "seed", self.seed, "a whole number from 0 to 4294967295")
        divided = self.strategy.name in (Strategy.fsdp, Strategy.model_parallel)
        check(
            not (divided and self.performance.compile is Compile.network),
            "performance.compile",
            "network",
            f"auto, lrn or none with strategy={self.strategy.name.value}, which splits the network",
        )
        for callback in CALLBACKS.configs(self.callbacks).values():
            callback.check_trainer(self.trainer)
