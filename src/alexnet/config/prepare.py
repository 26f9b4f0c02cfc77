"""Everything that `prepare.py` needs."""

from dataclasses import dataclass, field

from omegaconf import MISSING

from alexnet.choices import PackFormat
from alexnet.config.checked import Checked, check
from alexnet.config.data import DataConfig


@dataclass
class PrepareConfig(Checked):
    """Everything that `prepare.py` needs."""

    data: DataConfig = field(default_factory=DataConfig)
    format: PackFormat = MISSING
    quality: int = MISSING

    def check(self) -> None:
        check(1 <= self.quality <= 100, "quality", self.quality, "a JPEG quality from 1 to 100")
