"""Configuration of `train.py`: one training run."""

import re
from dataclasses import dataclass, field
from enum import Enum

from omegaconf import MISSING

from alexnet.config.base import ValidatedConfig, check, check_positive
from alexnet.config.callbacks import CallbacksConfig
from alexnet.config.data import DataConfig
from alexnet.config.model import ModelConfig
from alexnet.config.optim import OptimizerConfig, SchedulerConfig


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


class Logger(Enum):
    """Where metrics are logged in addition to the run folder."""

    wandb = "wandb"
    csv = "csv"


class WandbMode(Enum):
    """Mode of W&B; `auto` is online if the user is logged in, else offline."""

    auto = "auto"
    online = "online"
    offline = "offline"


@dataclass
class StrategyConfig(ValidatedConfig):
    """Distribution of the network over devices."""

    name: Strategy = MISSING
    data_parallel_size: int = MISSING

    def check(self) -> None:
        size = self.data_parallel_size
        check(size >= 1, "strategy.data_parallel_size", size, "1 or more copies of the network")
        check(
            size == 1 or self.name is Strategy.model_parallel,
            "strategy.data_parallel_size",
            size,
            f"1 with strategy={self.name.value}, as only model_parallel uses it",
        )


@dataclass
class PerformanceConfig(ValidatedConfig):
    """How a training step is computed; nothing here changes a result beyond rounding."""

    compile: Compile = MISSING
    cuda_graphs: bool = MISSING
    channels_last: bool = MISSING
    retain_malloc: bool = MISSING


@dataclass
class TrainerConfig(ValidatedConfig):
    """Arguments of Lightning's Trainer, under its names."""

    accelerator: Accelerator = MISSING
    devices: int = MISSING
    num_nodes: int = MISSING
    precision: str = MISSING
    max_epochs: int = MISSING
    max_time: str | None = MISSING
    check_val_every_n_epoch: int = MISSING
    limit_train_batches: int | float | None = MISSING
    limit_val_batches: int | float | None = MISSING
    log_every_n_steps: int = MISSING
    deterministic: bool = MISSING
    benchmark: bool = MISSING

    def check(self) -> None:
        for key in ("devices", "num_nodes", "max_epochs", "check_val_every_n_epoch", "log_every_n_steps"):
            check(getattr(self, key) >= 1, f"trainer.{key}", getattr(self, key), "a whole number from 1 up")
        precisions = ("auto", "32-true", "64-true", "bf16-mixed", "16-mixed", "bf16-true")
        check(
            self.precision in precisions,
            "trainer.precision",
            self.precision,
            f"one of {', '.join(precisions)}",
        )
        for key in ("limit_train_batches", "limit_val_batches"):
            check_positive(f"trainer.{key}", getattr(self, key))
        check(
            self.max_time is None or re.fullmatch(r"\d+:\d\d:\d\d:\d\d", self.max_time) is not None,
            "trainer.max_time",
            self.max_time,
            "days:hours:minutes:seconds, such as 00:08:00:00 for eight hours",
        )


@dataclass
class LoggerConfig(ValidatedConfig):
    """Experiment tracking in addition to the run folder."""

    kind: Logger = MISSING
    project: str = MISSING
    entity: str | None = MISSING
    mode: WandbMode = MISSING
    group: str | None = MISSING
    job_type: str | None = MISSING
    name: str | None = MISSING
    tags: list[str] = MISSING
    log_checkpoint: bool = MISSING


@dataclass
class ClaimConfig(ValidatedConfig):
    """The claim that an experiment tests, with the numbers of the paper and of the 2012 program's run log.

    `top1` and `top5`, and `log_top1` and `log_top5`, are the experiment's error minus that of its
    baseline, in percentage points: positive if the innovation that is switched off was useful.
    """

    text: str = MISSING
    section: str = MISSING
    top1: float | None = None
    top5: float | None = None
    split: str | None = None
    log_top1: float | None = None
    log_top5: float | None = None
    log_split: str | None = None
    log_file: str | None = None


@dataclass
class TrainConfig(ValidatedConfig):
    """Configuration of `train.py`."""

    seed: int = MISSING
    baseline: str = MISSING
    claim: ClaimConfig | None = None
    outputs: str = MISSING
    run_folder: str | None = MISSING
    resume: str | None = MISSING
    model: ModelConfig = field(default_factory=ModelConfig)
    data: DataConfig = field(default_factory=DataConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    scheduler: SchedulerConfig = field(default_factory=SchedulerConfig)
    strategy: StrategyConfig = field(default_factory=StrategyConfig)
    performance: PerformanceConfig = field(default_factory=PerformanceConfig)
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    logger: LoggerConfig = field(default_factory=LoggerConfig)
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
