"""Everything that `inspect_run.py` needs."""

from dataclasses import dataclass

from omegaconf import MISSING

from alexnet.choices import Accelerator
from alexnet.config.checked import Checked, check
from alexnet.errors import UserError


@dataclass
class InspectConfig(Checked):
    """Everything that `inspect_run.py` needs."""

    run: str | None = MISSING
    checkpoint: str | None = MISSING
    data_root: str | None = MISSING
    images: int | None = MISSING
    queries: int = MISSING
    neighbours: int = MISSING
    out: str | None = MISSING
    wandb: bool = MISSING
    batch_size: int = MISSING
    accelerator: Accelerator = MISSING

    def check(self) -> None:
        if (self.run is None) == (self.checkpoint is None):
            raise UserError("Give what to look into: either run=<run folder> or checkpoint=<file>.")
        for key in ("images", "queries", "neighbours", "batch_size"):
            value = getattr(self, key)
            check(value is None or value >= 1, key, value, "a whole number from 1 up")
