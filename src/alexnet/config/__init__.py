"""The schema of the configuration: every key that exists, its type and its valid range.

Values stand in `conf/`, one YAML file a choice, with where each number comes from. A field
without a default here must be given there. Hydra checks keys and types while it composes;
`check` checks ranges when the typed objects are built. Nothing here imports torch, so
that `--help` and configuration errors answer at once.
"""

from alexnet.config.benchmark import BenchmarkConfig, GrowthConfig
from alexnet.config.classical import ClassicalConfig, HandMadeConfig, NameConfig
from alexnet.config.compare import CompareConfig
from alexnet.config.data import AugmentConfig, DataConfig, SyntheticConfig
from alexnet.config.evaluate import EvaluateConfig
from alexnet.config.export import ExportConfig
from alexnet.config.inspect import InspectConfig
from alexnet.config.model import AlexNetConfig, LeNet5Config, ModelConfig, TorchvisionConfig
from alexnet.config.predict import PredictConfig
from alexnet.config.prepare import PrepareConfig
from alexnet.config.train import (
    CallbacksConfig,
    CheckpointConfig,
    ClaimConfig,
    EarlyStoppingConfig,
    LayerProbeConfig,
    LearningGuardConfig,
    LoggerConfig,
    OptimizerConfig,
    SchedulerConfig,
    SpeedConfig,
    StrategyConfig,
    TrainConfig,
    TrainerConfig,
)

__all__ = [
    "AlexNetConfig",
    "AugmentConfig",
    "BenchmarkConfig",
    "CallbacksConfig",
    "CheckpointConfig",
    "ClaimConfig",
    "ClassicalConfig",
    "CompareConfig",
    "DataConfig",
    "EarlyStoppingConfig",
    "EvaluateConfig",
    "ExportConfig",
    "GrowthConfig",
    "HandMadeConfig",
    "InspectConfig",
    "LayerProbeConfig",
    "LeNet5Config",
    "LearningGuardConfig",
    "LoggerConfig",
    "ModelConfig",
    "NameConfig",
    "OptimizerConfig",
    "PredictConfig",
    "PrepareConfig",
    "SchedulerConfig",
    "SpeedConfig",
    "StrategyConfig",
    "SyntheticConfig",
    "TorchvisionConfig",
    "TrainConfig",
    "TrainerConfig",
]
