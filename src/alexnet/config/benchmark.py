"""Configuration of `benchmark.py`: a training run, and what to measure."""

from dataclasses import dataclass, field
from enum import Enum

from omegaconf import MISSING

from alexnet.config.base import ValidatedConfig, check
from alexnet.config.training import ClaimConfig, TrainConfig


class Variant(Enum):
    """An implementation of the training step that `benchmark.py` times."""

    ours = "ours"
    ours_compiled = "ours_compiled"
    ours_plain = "ours_plain"
    stock_float32 = "stock_float32"
    stock_bfloat16 = "stock_bfloat16"
    torchvision_float32 = "torchvision_float32"
    torchvision_bfloat16 = "torchvision_bfloat16"
    torchvision_compiled = "torchvision_compiled"


@dataclass
class ScalingConfig(ValidatedConfig):
    """Sizes over which `benchmark.py` measures a cost; an empty list skips it."""

    batch_sizes: list[int] = MISSING
    data_sizes: list[int] = MISSING

    def check(self) -> None:
        for key in ("batch_sizes", "data_sizes"):
            sizes = getattr(self, key)
            expected = "increasing numbers of images, from 1 up, or []"
            increasing = sizes == sorted(set(sizes)) and min(sizes, default=1) >= 1
            check(increasing, f"scaling.{key}", sizes, expected)


@dataclass
class BenchmarkConfig(TrainConfig):
    """Configuration of `benchmark.py`: that of `train.py`, with what to measure.

    If `variants` is None, `benchmark.py` chooses those that are informative on this machine; if `steps` is,
    as many as its device needs.
    """

    claim: ClaimConfig | None = MISSING  # without a default, which would replace an experiment's claim
    variants: list[Variant] | None = MISSING
    rounds: int = MISSING
    steps: int | None = MISSING
    classes: int = MISSING
    matrix: int = MISSING
    scaling: ScalingConfig = field(default_factory=ScalingConfig)

    def check(self) -> None:
        super().check()
        expected = "a network of the family alexnet, to compare with its stock implementation"
        check(self.model.family == "alexnet", "model", self.model.name, expected)
        for key in ("rounds", "matrix"):
            check(getattr(self, key) >= 1, key, getattr(self, key), "a whole number from 1 up")
        enough = self.steps is None or self.steps >= 1
        check(enough, "steps", self.steps, "a whole number from 1 up, or null")
        check(self.classes >= 2, "classes", self.classes, "2 or more")
        check(
            self.variants is None or len(self.variants) > 0,
            "variants",
            self.variants,
            "at least one, or null",
        )
