"""What a module of your own needs to add choices: docs/extending.md. Imports no torch.

The decorators register an activation function, an augmentation, a callback, a source of images, a loss, a
metric, a network, a normalization, an update rule or a learning-rate schedule under a name. The classes are
those from which choices with options derive; `InputPath` and `OutputPath` are types of keys that hold a path.
"""

from alexnet.config.base import InputPath, OutputPath, check, check_fraction, check_positive
from alexnet.config.callbacks import CallbackConfig, register_callback
from alexnet.config.data import (
    AugmentationConfig,
    CropAugmentationConfig,
    DataConfig,
    MixAugmentationConfig,
    register_augmentation,
    register_data,
)
from alexnet.config.extensions import load_extension
from alexnet.config.loss import LossConfig, register_loss
from alexnet.config.model import ModelConfig, register_model
from alexnet.config.optim import OptimizerConfig, SchedulerConfig, register_optimizer, register_scheduler
from alexnet.data.fetching import Download, FetchedDataConfig
from alexnet.metrics.registry import register_metric
from alexnet.models.activations import register_activation
from alexnet.models.families.alexnet import register_normalization

__all__ = [
    "AugmentationConfig",
    "CallbackConfig",
    "CropAugmentationConfig",
    "DataConfig",
    "Download",
    "FetchedDataConfig",
    "InputPath",
    "LossConfig",
    "MixAugmentationConfig",
    "ModelConfig",
    "OptimizerConfig",
    "OutputPath",
    "SchedulerConfig",
    "check",
    "check_fraction",
    "check_positive",
    "load_extension",
    "register_activation",
    "register_augmentation",
    "register_callback",
    "register_data",
    "register_loss",
    "register_metric",
    "register_model",
    "register_normalization",
    "register_optimizer",
    "register_scheduler",
]
