"""The schema of the configuration: every key, its type and its valid range.

Values are in `conf/`, one YAML file per choice, with the source of each number. A field without a default
here must be set there. The classes of choices, which add their own keys, are beside what they build: networks
in `alexnet.models.families`, update rules in `alexnet.optim.rules`; see `alexnet.config.registry`.
Hydra checks keys and types when it composes a configuration; `check` checks ranges when the typed objects are
built. Nothing here imports torch, so that `--help` and configuration errors do not wait for it.
"""

from alexnet.config.base import ProgramConfig, ValidatedConfig
from alexnet.config.benchmark import BenchmarkConfig, ScalingConfig, Variant
from alexnet.config.callbacks import (
    ActivationMonitorConfig,
    CallbackConfig,
    CallbacksConfig,
    CheckpointConfig,
    ConvergenceMonitorConfig,
    NaNMonitorConfig,
    NonFinite,
)
from alexnet.config.data import (
    AugmentationConfig,
    AugmentConfig,
    ColorScale,
    DataConfig,
    MeanKind,
    PackFormat,
    ValCrops,
)
from alexnet.config.loss import LossConfig
from alexnet.config.model import ModelConfig
from alexnet.config.optim import OptimizerConfig, SchedulerConfig
from alexnet.config.programs import (
    ClassicalConfig,
    ComparabilityKey,
    CompareConfig,
    EvaluateConfig,
    ExportConfig,
    ExportFormat,
    Features,
    HandMadeConfig,
    InspectConfig,
    NameConfig,
    PredictConfig,
    PrepareConfig,
)
from alexnet.config.training import (
    Accelerator,
    ClaimConfig,
    Compile,
    LoggerConfig,
    ModelParallelConfig,
    PerformanceConfig,
    Strategy,
    StrategyConfig,
    TrainConfig,
    TrainerConfig,
    WandbConfig,
    WandbMode,
)

__all__ = [
    "Accelerator",
    "ActivationMonitorConfig",
    "AugmentConfig",
    "AugmentationConfig",
    "BenchmarkConfig",
    "CallbackConfig",
    "CallbacksConfig",
    "CheckpointConfig",
    "ClaimConfig",
    "ClassicalConfig",
    "ColorScale",
    "ComparabilityKey",
    "CompareConfig",
    "Compile",
    "ConvergenceMonitorConfig",
    "DataConfig",
    "EvaluateConfig",
    "ExportConfig",
    "ExportFormat",
    "Features",
    "HandMadeConfig",
    "InspectConfig",
    "LoggerConfig",
    "LossConfig",
    "MeanKind",
    "ModelConfig",
    "ModelParallelConfig",
    "NaNMonitorConfig",
    "NameConfig",
    "NonFinite",
    "OptimizerConfig",
    "PackFormat",
    "PerformanceConfig",
    "PredictConfig",
    "PrepareConfig",
    "ProgramConfig",
    "ScalingConfig",
    "SchedulerConfig",
    "Strategy",
    "StrategyConfig",
    "TrainConfig",
    "TrainerConfig",
    "ValCrops",
    "ValidatedConfig",
    "Variant",
    "WandbConfig",
    "WandbMode",
]
