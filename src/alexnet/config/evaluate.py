"""Everything that `evaluate.py` needs."""

from dataclasses import dataclass
from typing import Any

from omegaconf import MISSING

from alexnet.choices import Accelerator, ValCrops
from alexnet.config.checked import Checked, check
from alexnet.config.data import DataConfig
from alexnet.config.model import ModelConfig
from alexnet.errors import UserError


@dataclass
class EvaluateConfig(Checked):
    """Everything that `evaluate.py` needs. `run` and `checkpoint` are a path, or a list of paths."""

    run: Any = MISSING
    checkpoint: Any = MISSING
    weights: str | None = MISSING
    model: ModelConfig | None = None
    data: DataConfig | None = None
    data_root: str | None = MISSING
    crops: list[ValCrops] = MISSING
    batch_size: int = MISSING
    accelerator: Accelerator = MISSING
    out: str | None = MISSING
    outputs: str = MISSING
    cache: str = MISSING
    wandb: bool = MISSING

    def check(self) -> None:
        if sum(each is not None for each in (self.run, self.checkpoint, self.weights)) != 1:
            raise UserError(
                "Give what to evaluate: run=<run folder> or checkpoint=<file>, or a list of them, or"
                " weights=torchvision model=<network>."
            )
        if self.weights is not None and (self.model is None or self.data is None):
            raise UserError(f"weights={self.weights}: give their network and images, too: model=... data=...")
        if self.weights is None and self.model is not None:
            raise UserError("model=...: goes with weights=. Runs and checkpoints know their network.")
        for key in ("run", "checkpoint"):
            given = getattr(self, key)
            fits = isinstance(given, list) and all(isinstance(each, str | int) for each in given)
            check(given is None or isinstance(given, str | int) or fits, key, given, "a path, or a list")
            check(given != [], key, given, "at least one path")
        check(bool(self.crops), "crops", [], "center, ten, or both: crops=[center,ten]")
        check(self.batch_size >= 1, "batch_size", self.batch_size, "a whole number from 1 up")
        if self.data is not None and self.data_root is not None:
            raise UserError(f"data_root={self.data_root}: with data=... give it as data.root.")

    @property
    def runs(self) -> list[str]:
        """The folders of `run`; empty where checkpoints are given."""
        return _listed(self.run)

    @property
    def checkpoints(self) -> list[str]:
        """The files of `checkpoint`; empty where runs are given."""
        return _listed(self.checkpoint)


def _listed(given: Any) -> list[str]:
    each = given if isinstance(given, list) else [] if given is None else [given]
    return [str(one) for one in each]
