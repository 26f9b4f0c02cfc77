"""Everything that `evaluate.py` needs."""

from dataclasses import dataclass
from typing import Any

from omegaconf import MISSING

from alexnet.choices import Accelerator, ValCrops
from alexnet.config.checked import Checked, check
from alexnet.config.data import DataConfig
from alexnet.errors import UserError


@dataclass
class EvaluateConfig(Checked):
    """Everything that `evaluate.py` needs. `run` and `checkpoint` are a path, or a list of paths."""

    run: Any = MISSING
    checkpoint: Any = MISSING
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
        if (self.run is None) == (self.checkpoint is None):
            raise UserError("Give what to evaluate: either run=<run folder> or checkpoint=<file>, or a list.")
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
