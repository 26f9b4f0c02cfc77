"""Everything that `predict.py` needs."""

from dataclasses import dataclass
from typing import Any

from omegaconf import MISSING

from alexnet.choices import Accelerator, ValCrops
from alexnet.config.checked import Checked, check
from alexnet.errors import UserError


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
            check(getattr(self, key) >= 1, key, getattr(self, key), "a whole number from 1 up")
