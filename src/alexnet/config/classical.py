"""Everything that `classical.py` needs."""

from dataclasses import dataclass, field

from omegaconf import MISSING

from alexnet.choices import Features
from alexnet.config.checked import Checked, check, check_positive
from alexnet.config.data import DataConfig


@dataclass
class HandMadeConfig(Checked):
    """Hand-made features, and the linear classifier that learns from them."""

    features: Features = MISSING
    image_size: int = MISSING
    orientations: int = MISSING
    pixels_per_cell: int = MISSING
    cells_per_block: int = MISSING
    color_bins: int = MISSING
    alpha: float = MISSING
    max_iterations: int = MISSING

    def check(self) -> None:
        for key in ("orientations", "pixels_per_cell", "cells_per_block", "max_iterations"):
            check(getattr(self, key) >= 1, f"classical.{key}", getattr(self, key), "a whole number from 1 up")
        check(2 <= self.color_bins <= 256, "classical.color_bins", self.color_bins, "from 2 to 256")
        check_positive("classical.alpha", self.alpha)
        block = self.pixels_per_cell * self.cells_per_block
        expected = f"at least a block of {self.cells_per_block} cells, {block} pixels"
        check(self.image_size >= block, "classical.image_size", self.image_size, expected)


@dataclass
class NameConfig:
    """What the run is called beside networks."""

    name: str = MISSING


@dataclass
class ClassicalConfig(Checked):
    """Everything that `classical.py` needs."""

    seed: int = MISSING
    outputs: str = MISSING
    run_folder: str | None = MISSING
    model: NameConfig = field(default_factory=NameConfig)
    data: DataConfig = field(default_factory=DataConfig)
    classical: HandMadeConfig = field(default_factory=HandMadeConfig)

    def check(self) -> None:
        check(0 <= self.seed < 2**32, "seed", self.seed, "a whole number from 0 to 4294967295")
        size, stored = self.classical.image_size, self.data.stored_size
        check(size <= stored, "classical.image_size", size, f"at most data.stored_size={stored} pixels")
