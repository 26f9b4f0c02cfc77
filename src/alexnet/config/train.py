"""One training run: everything that `train.py` needs."""

import re
from dataclasses import dataclass, field

from omegaconf import MISSING

from alexnet.choices import Accelerator, Compile, Logger, NonFinite, Schedule, Strategy, UpdateRule, WandbMode
from alexnet.config.checked import Checked, check, check_fraction, check_positive
from alexnet.config.data import DataConfig
from alexnet.config.model import ModelConfig


@dataclass
class OptimizerConfig(Checked):
    """Stochastic gradient descent with momentum; weights and biases are separate groups."""

    rule: UpdateRule = MISSING
    lr: float = MISSING
    momentum: float = MISSING
    weight_decay: float = MISSING
    bias_lr_factor: float = MISSING
    bias_weight_decay: float = MISSING
    freeze: list[str] = MISSING
    freeze_from: float = MISSING

    def check(self) -> None:
        check_positive("optimizer.lr", self.lr)
        check_fraction("optimizer.momentum", self.momentum)
        for key in ("weight_decay", "bias_lr_factor", "bias_weight_decay"):
            check(getattr(self, key) >= 0, f"optimizer.{key}", getattr(self, key), "0 or more")
        expected = "a fraction of the run, from 0 to 1"
        check(0 <= self.freeze_from <= 1, "optimizer.freeze_from", self.freeze_from, expected)


@dataclass
class SchedulerConfig(Checked):
    """Learning rate over a run. `milestones` are fractions of the run's epochs."""

    schedule: Schedule = MISSING
    factor: float = MISSING
    milestones: list[float] = MISSING
    patience: int = MISSING
    reductions: int = MISSING

    def check(self) -> None:
        check(0 < self.factor <= 1, "scheduler.factor", self.factor, "a number above 0, at most 1")
        check(
            all(0 < m < 1 for m in self.milestones) and list(self.milestones) == sorted(self.milestones),
            "scheduler.milestones",
            self.milestones,
            "rising fractions of the run between 0 and 1",
        )
        check(self.patience >= 0, "scheduler.patience", self.patience, "0 or more epochs")
        check(self.reductions >= 0, "scheduler.reductions", self.reductions, "0 or more")


@dataclass
class StrategyConfig(Checked):
    """Placement of the network on devices."""

    name: Strategy = MISSING
    data_parallel_size: int = MISSING

    def check(self) -> None:
        size = self.data_parallel_size
        check(size >= 1, "strategy.data_parallel_size", size, "1 or more copies of the network")
        check(
            size == 1 or self.name is Strategy.model_parallel,
            "strategy.data_parallel_size",
            size,
            f"1 with strategy={self.name.value}; elsewhere trainer.devices says how many copies there are",
        )


@dataclass
class SpeedConfig(Checked):
    """How a training step is worked out: nothing here changes a result beyond rounding."""

    compile: Compile = MISSING
    cuda_graphs: bool = MISSING
    channels_last: bool = MISSING
    keep_freed_memory: bool = MISSING


@dataclass
class TrainerConfig(Checked):
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
            "days:hours:minutes:seconds, 00:08:00:00 for eight hours",
        )


@dataclass
class LoggerConfig(Checked):
    """Tracking beside the run folder."""

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
class CheckpointConfig(Checked):
    """What is kept under checkpoints/, and how often."""

    last: bool = MISSING
    best: bool = MISSING
    every_n_steps: int | None = MISSING
    every_n_seconds: float | None = MISSING

    def check(self) -> None:
        for key in ("every_n_steps", "every_n_seconds"):
            check_positive(f"callbacks.checkpoint.{key}", getattr(self, key))


@dataclass
class EarlyStoppingConfig(Checked):
    """When to end a run that gets no better."""

    patience: int | None = MISSING
    min_delta: float = MISSING

    def check(self) -> None:
        check_positive("callbacks.early_stopping.patience", self.patience)
        check(self.min_delta >= 0, "callbacks.early_stopping.min_delta", self.min_delta, "0 or more")


@dataclass
class LearningGuardConfig(Checked):
    """When to say that a run does not learn, and when that it has fallen apart."""

    epochs: int = MISSING
    steps: int = MISSING
    margin: float = MISSING
    stop: bool = MISSING
    nonfinite: NonFinite = MISSING
    explosion: float = MISSING

    def check(self) -> None:
        check_positive("callbacks.learning_guard.epochs", self.epochs)
        check(self.steps >= 0, "callbacks.learning_guard.steps", self.steps, "0 or more")
        check_fraction("callbacks.learning_guard.margin", self.margin)
        check(self.explosion > 1, "callbacks.learning_guard.explosion", self.explosion, "a number above 1")


@dataclass
class LayerProbeConfig(Checked):
    """What goes on in each layer, epoch by epoch; `images` of the validation are passed through."""

    images: int | None = MISSING

    def check(self) -> None:
        check_positive("callbacks.layer_probe.images", self.images)


@dataclass
class CallbacksConfig(Checked):
    """What watches a run."""

    checkpoint: CheckpointConfig = field(default_factory=CheckpointConfig)
    early_stopping: EarlyStoppingConfig = field(default_factory=EarlyStoppingConfig)
    learning_guard: LearningGuardConfig = field(default_factory=LearningGuardConfig)
    layer_probe: LayerProbeConfig = field(default_factory=LayerProbeConfig)


@dataclass
class ClaimConfig(Checked):
    """What an experiment tests: what the paper and the 2012 program's run log say about it.

    `top1` and `top5`, and `log_top1` and `log_top5`, are the experiment's error less that of its
    baseline, in percentage points: positive where what is switched off was of use.
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
class TrainConfig(Checked):
    """Everything that `train.py` needs."""

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
    speed: SpeedConfig = field(default_factory=SpeedConfig)
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    logger: LoggerConfig = field(default_factory=LoggerConfig)
    callbacks: CallbacksConfig = field(default_factory=CallbacksConfig)

    def check(self) -> None:
        check(0 <= self.seed < 2**32, "seed", self.seed, "a whole number from 0 to 4294967295")
        divided = self.strategy.name in (Strategy.fsdp, Strategy.model_parallel)
        check(
            not (divided and self.speed.compile is Compile.network),
            "speed.compile",
            "network",
            f"auto, lrn or none with strategy={self.strategy.name.value}, which divides the network",
        )
