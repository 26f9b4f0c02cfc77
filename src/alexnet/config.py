"""The schema of the configuration: every key that exists, its type and its valid range.

Values stand in `conf/`, one YAML file a choice, with where each number comes from. A field
without a default here must be given there. Hydra checks keys and types while it composes;
`check` checks ranges when the typed objects are built. Nothing here imports torch, so
that `--help` and configuration errors answer at once.
"""

import re
from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING

from alexnet.choices import (
    Accelerator,
    Activation,
    ColorScale,
    Compile,
    DataSource,
    Difference,
    DropoutPlace,
    DropoutScaling,
    Init,
    Layer1Order,
    Logger,
    MeanKind,
    NonFinite,
    PackFormat,
    Pooling,
    Program,
    Schedule,
    Strategy,
    UpdateRule,
    ValCrops,
    WandbMode,
)
from alexnet.errors import UserError


def _check(valid: bool, key: str, value: Any, expected: str) -> None:
    if not valid:
        raise UserError(f"{key}={value}: expected {expected}.")


def _check_fraction(key: str, value: float) -> None:
    _check(0 <= value < 1, key, value, "a number from 0 up to, but not including, 1")


def _check_positive(key: str, value: float | None) -> None:
    _check(value is None or value > 0, key, value, "a number above 0")


class Checked:
    """A part of the configuration that checks its own values when it is built."""

    def __post_init__(self) -> None:
        if MISSING not in vars(self).values():  # OmegaConf reads the schema off an unfilled instance
            self.check()

    def check(self) -> None:
        """Raise `UserError` for a value out of range."""


@dataclass
class ModelConfig(Checked):
    """One network of the family. Filters, hidden units and strides are those of width 1."""

    name: str = MISSING
    # the switches
    lrn: bool = MISSING
    dropout: float = MISSING
    activation: Activation = MISSING
    pooling: Pooling = MISSING
    columns: int = MISSING
    communication: bool = MISSING
    init: Init = MISSING
    init_bias: bool = MISSING
    removed: list[str] = MISSING
    width: float = MISSING
    # input
    image_size: int = MISSING
    canvas_size: int = MISSING
    conv1_padding: int = MISSING
    # layers
    filters: list[int] = MISSING
    hidden: list[int] = MISSING
    layer1_order: Layer1Order = MISSING
    spatial_norm: bool = MISSING
    lrn_size: int = MISSING
    lrn_k: float = MISSING
    lrn_alpha: float = MISSING
    lrn_beta: float = MISSING
    dropout_scaling: DropoutScaling = MISSING
    dropout_place: DropoutPlace = MISSING

    def check(self) -> None:
        _check_fraction("model.dropout", self.dropout)
        _check(self.columns in (1, 2), "model.columns", self.columns, "1 or 2")
        _check_positive("model.width", self.width)
        middle = {"conv3", "conv4", "conv5"}
        _check(set(self.removed) <= middle, "model.removed", self.removed, "some of conv3, conv4, conv5")
        _check(len(self.filters) == 5, "model.filters", self.filters, "five numbers, conv1 to conv5")
        _check(len(self.hidden) == 2, "model.hidden", self.hidden, "two numbers, fc6 and fc7")
        _check(min(*self.filters, *self.hidden) > 0, "model.filters and model.hidden", 0, "numbers above 0")
        _check(self.conv1_padding >= 0, "model.conv1_padding", self.conv1_padding, "0 or more pixels")
        _check(
            self.lrn_size > 0 and self.lrn_size % 2 == 1,
            "model.lrn_size",
            self.lrn_size,
            "an odd number of maps",
        )
        _check_positive("model.lrn_k", self.lrn_k)
        _check(self.lrn_alpha >= 0, "model.lrn_alpha", self.lrn_alpha, "0 or more")
        _check(
            self.canvas_size >= self.image_size,
            "model.canvas_size",
            self.canvas_size,
            f"at least model.image_size={self.image_size} pixels",
        )


@dataclass
class AugmentConfig(Checked):
    """Random changes of the training images, each with its switch."""

    crop: bool = MISSING
    flip: bool = MISSING
    color: bool = MISSING
    color_scale: ColorScale = MISSING
    color_std: float = MISSING
    color_until_epoch: int | None = MISSING
    chunk: int = MISSING

    def check(self) -> None:
        _check(self.color_std >= 0, "data.augment.color_std", self.color_std, "0 or more")
        _check(self.chunk >= 1, "data.augment.chunk", self.chunk, "1 or more images")
        _check_positive("data.augment.color_until_epoch", self.color_until_epoch)


@dataclass
class SyntheticConfig(Checked):
    """Size of the synthetic data set; it is made again when any of this changes."""

    train_images: int = MISSING
    val_images: int = MISSING
    seed: int = MISSING

    def check(self) -> None:
        _check_positive("data.synthetic.train_images", self.train_images)
        _check_positive("data.synthetic.val_images", self.val_images)


@dataclass
class DataConfig(Checked):
    """Images, their preparation and how they are read."""

    name: str = MISSING
    source: DataSource = MISSING
    root: str = MISSING
    cache: str = MISSING
    pack: str | None = MISSING
    batch_size: int = MISSING
    lr: float = MISSING
    epochs: int = MISSING
    workers: int | None = MISSING
    val_fraction: float = MISSING
    max_unreadable: float = MISSING
    stored_size: int = MISSING
    mean: MeanKind = MISSING
    val_crops: ValCrops = MISSING
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    synthetic: SyntheticConfig | None = MISSING

    def check(self) -> None:
        _check(self.batch_size >= 1, "data.batch_size", self.batch_size, "1 or more images")
        _check(self.epochs >= 1, "data.epochs", self.epochs, "1 or more")
        _check(self.workers is None or self.workers >= 0, "data.workers", self.workers, "0 or more, or null")
        _check(0 < self.val_fraction < 1, "data.val_fraction", self.val_fraction, "a number between 0 and 1")
        _check(
            0 <= self.max_unreadable <= 1, "data.max_unreadable", self.max_unreadable, "a share, from 0 to 1"
        )
        _check(self.stored_size >= 1, "data.stored_size", self.stored_size, "1 or more pixels")


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
        _check_positive("optimizer.lr", self.lr)
        _check_fraction("optimizer.momentum", self.momentum)
        for key in ("weight_decay", "bias_lr_factor", "bias_weight_decay"):
            _check(getattr(self, key) >= 0, f"optimizer.{key}", getattr(self, key), "0 or more")
        expected = "a fraction of the run, from 0 to 1"
        _check(0 <= self.freeze_from <= 1, "optimizer.freeze_from", self.freeze_from, expected)


@dataclass
class SchedulerConfig(Checked):
    """Learning rate over a run. `milestones` are fractions of the run's epochs."""

    schedule: Schedule = MISSING
    factor: float = MISSING
    milestones: list[float] = MISSING
    patience: int = MISSING
    reductions: int = MISSING

    def check(self) -> None:
        _check(0 < self.factor <= 1, "scheduler.factor", self.factor, "a number above 0, at most 1")
        _check(
            all(0 < m < 1 for m in self.milestones) and list(self.milestones) == sorted(self.milestones),
            "scheduler.milestones",
            self.milestones,
            "rising fractions of the run between 0 and 1",
        )
        _check(self.patience >= 0, "scheduler.patience", self.patience, "0 or more epochs")
        _check(self.reductions >= 0, "scheduler.reductions", self.reductions, "0 or more")


@dataclass
class StrategyConfig(Checked):
    """Placement of the network on devices."""

    name: Strategy = MISSING
    data_parallel_size: int = MISSING

    def check(self) -> None:
        size = self.data_parallel_size
        _check(size >= 1, "strategy.data_parallel_size", size, "1 or more copies of the network")
        _check(
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
            _check(getattr(self, key) >= 1, f"trainer.{key}", getattr(self, key), "a whole number from 1 up")
        precisions = ("auto", "32-true", "64-true", "bf16-mixed", "16-mixed", "bf16-true")
        _check(
            self.precision in precisions,
            "trainer.precision",
            self.precision,
            f"one of {', '.join(precisions)}",
        )
        for key in ("limit_train_batches", "limit_val_batches"):
            _check_positive(f"trainer.{key}", getattr(self, key))
        _check(
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
            _check_positive(f"callbacks.checkpoint.{key}", getattr(self, key))


@dataclass
class EarlyStoppingConfig(Checked):
    """When to end a run that gets no better."""

    patience: int | None = MISSING
    min_delta: float = MISSING

    def check(self) -> None:
        _check_positive("callbacks.early_stopping.patience", self.patience)
        _check(self.min_delta >= 0, "callbacks.early_stopping.min_delta", self.min_delta, "0 or more")


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
        _check_positive("callbacks.learning_guard.epochs", self.epochs)
        _check(self.steps >= 0, "callbacks.learning_guard.steps", self.steps, "0 or more")
        _check_fraction("callbacks.learning_guard.margin", self.margin)
        _check(self.explosion > 1, "callbacks.learning_guard.explosion", self.explosion, "a number above 1")


@dataclass
class CallbacksConfig(Checked):
    """What watches a run."""

    checkpoint: CheckpointConfig = field(default_factory=CheckpointConfig)
    early_stopping: EarlyStoppingConfig = field(default_factory=EarlyStoppingConfig)
    learning_guard: LearningGuardConfig = field(default_factory=LearningGuardConfig)


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
        _check(0 <= self.seed < 2**32, "seed", self.seed, "a whole number from 0 to 4294967295")
        divided = self.strategy.name in (Strategy.fsdp, Strategy.model_parallel)
        _check(
            not (divided and self.speed.compile is Compile.network),
            "speed.compile",
            "network",
            f"auto, lrn or none with strategy={self.strategy.name.value}, which divides the network",
        )


@dataclass
class GrowthConfig(Checked):
    """Sizes over which `benchmark.py` follows a cost; without sizes it leaves that out."""

    batch_sizes: list[int] = MISSING
    data_sizes: list[int] = MISSING

    def check(self) -> None:
        for key in ("batch_sizes", "data_sizes"):
            sizes = getattr(self, key)
            expected = "rising numbers of images, from 1 up, or []"
            rising = sizes == sorted(set(sizes)) and min(sizes, default=1) >= 1
            _check(rising, f"growth.{key}", sizes, expected)


@dataclass
class BenchmarkConfig(TrainConfig):
    """Everything that `benchmark.py` needs: a training's configuration, and what to measure of it.

    `programs` are None where benchmark.py is to choose those that say something here.
    """

    claim: ClaimConfig | None = MISSING  # not None, which would take the place of an experiment's
    programs: list[Program] | None = MISSING
    rounds: int = MISSING
    steps: int = MISSING
    classes: int = MISSING
    matrix: int = MISSING
    growth: GrowthConfig = field(default_factory=GrowthConfig)

    def check(self) -> None:
        super().check()
        for key in ("rounds", "steps", "matrix"):
            _check(getattr(self, key) >= 1, key, getattr(self, key), "a whole number from 1 up")
        _check(self.classes >= 2, "classes", self.classes, "2 or more")
        _check(self.programs is None or len(self.programs) > 0, "programs", self.programs, "some, or null")


@dataclass
class PrepareConfig(Checked):
    """Everything that `prepare.py` needs."""

    data: DataConfig = field(default_factory=DataConfig)
    format: PackFormat = MISSING
    quality: int = MISSING

    def check(self) -> None:
        _check(1 <= self.quality <= 100, "quality", self.quality, "a JPEG quality from 1 to 100")


@dataclass
class PredictConfig(Checked):
    """Everything that `predict.py` needs."""

    run: str | None = MISSING
    checkpoint: str | None = MISSING
    images: Any = MISSING
    crops: ValCrops = MISSING
    top: int = MISSING
    output: str | None = MISSING
    sheet: str | None = MISSING
    batch_size: int = MISSING
    accelerator: Accelerator = MISSING

    def check(self) -> None:
        if (self.run is None) == (self.checkpoint is None):
            raise UserError("Give what to predict with: either run=<run folder> or checkpoint=<file>.")
        for key in ("top", "batch_size"):
            _check(getattr(self, key) >= 1, key, getattr(self, key), "a whole number from 1 up")


@dataclass
class CompareConfig(Checked):
    """Everything that `compare.py` needs."""

    study: str | None = MISSING
    runs: str | None = MISSING
    baseline: str | None = MISSING
    out: str | None = MISSING
    training_error: float = MISSING
    confidence: float = MISSING
    allow: list[Difference] = MISSING
    wandb: bool = MISSING

    def check(self) -> None:
        if (self.study is None) == (self.runs is None):
            raise UserError("Give what to compare: either study=<folder> or runs='<pattern>'.")
        expected = "a percentage from 0 to 100"
        _check(0 <= self.training_error <= 100, "training_error", self.training_error, expected)
        _check(0 < self.confidence < 1, "confidence", self.confidence, "a number between 0 and 1")
