"""Synthetic images, generated on first use."""

from dataclasses import dataclass, field
from pathlib import Path

from omegaconf import MISSING

from alexnet.config.base import ValidatedConfig, check_positive
from alexnet.config.data import register_data
from alexnet.data.fetching import FetchedDataConfig


@dataclass
class SyntheticConfig(ValidatedConfig):
    """Size and seed of the synthetic data set, which is regenerated when any of these values changes."""

    train_images: int = MISSING
    val_images: int = MISSING
    seed: int = MISSING

    def check(self) -> None:
        check_positive("data.synthetic.train_images", self.train_images)
        check_positive("data.synthetic.val_images", self.val_images)


@register_data("synthetic")
@dataclass
class SyntheticDataConfig(FetchedDataConfig):
    """The synthetic data set."""

    required_methods = ()

    synthetic: SyntheticConfig = field(default_factory=SyntheticConfig)

    def find(self, root: Path) -> Path | None:
        from alexnet.data.synthetic import synthetic_folder

        folder = synthetic_folder(root, self.synthetic)  # what else is there may be of another size
        return folder if folder.is_dir() else None

    def fetch(self, root: Path, workers: int) -> Path:
        from alexnet.data.synthetic import make_synthetic

        return make_synthetic(root, self.synthetic, workers)
