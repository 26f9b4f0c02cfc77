"""Everything that `compare.py` needs."""

from dataclasses import dataclass

from omegaconf import MISSING

from alexnet.choices import Difference
from alexnet.config.checked import Checked, check
from alexnet.errors import UserError


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
        check(0 <= self.training_error <= 100, "training_error", self.training_error, expected)
        check(0 < self.confidence < 1, "confidence", self.confidence, "a number between 0 and 1")
