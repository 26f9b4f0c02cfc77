"""Everything that `benchmark.py` needs."""

from dataclasses import dataclass, field

from omegaconf import MISSING

from alexnet.choices import Program
from alexnet.config.checked import Checked, check
from alexnet.config.model import AlexNetConfig, ModelConfig
from alexnet.config.train import ClaimConfig, TrainConfig


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
            check(rising, f"growth.{key}", sizes, expected)


@dataclass
class BenchmarkConfig(TrainConfig):
    """Everything that `benchmark.py` needs: a training's configuration, and what to measure of it.

    `programs` are None where benchmark.py is to choose those that say something here.
    """

    model: ModelConfig = MISSING  # not one without a family, which would take the network's place
    claim: ClaimConfig | None = MISSING  # not None, which would take the place of an experiment's
    programs: list[Program] | None = MISSING
    rounds: int = MISSING
    steps: int = MISSING
    classes: int = MISSING
    matrix: int = MISSING
    growth: GrowthConfig = field(default_factory=GrowthConfig)

    def check(self) -> None:
        super().check()
        ours = isinstance(self.model, AlexNetConfig)
        check(ours, "model", self.model.name, "one of AlexNet's family, whose relatives it is compared with")
        for key in ("rounds", "steps", "matrix"):
            check(getattr(self, key) >= 1, key, getattr(self, key), "a whole number from 1 up")
        check(self.classes >= 2, "classes", self.classes, "2 or more")
        check(self.programs is None or len(self.programs) > 0, "programs", self.programs, "some, or null")
