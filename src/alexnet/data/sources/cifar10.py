"""CIFAR-10."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from alexnet.config.data import register_data
from alexnet.data.fetching import Download, FetchedDataConfig, announce, download_error
from alexnet.terminal import progress_bar


@register_data("cifar10")
@dataclass
class CIFAR10Config(FetchedDataConfig):
    """CIFAR-10 as PNG files, from torchvision's copy."""

    download: ClassVar[Download] = Download(
        "CIFAR-10",
        "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
        "cifar-10-batches-py",
        bytes=170e6,
        on_disk=0.7e9,
    )

    def make(self, folder: Path, workers: int) -> None:
        """Write CIFAR-10 as PNG files, from torchvision's copy, which is downloaded if it is missing."""
        from torchvision.datasets import CIFAR10

        root = folder.parent
        if not (root / self.download.unpacked).is_dir():
            announce(self.download, root)
        try:
            splits = {
                name: CIFAR10(str(root), train=name == "train", download=True) for name in ("train", "test")
            }
        except Exception as error:
            raise download_error(self.download.name, root, error) from error

        with progress_bar("Writing CIFAR-10 as PNG files", sum(map(len, splits.values()))) as advance:
            for name, split in splits.items():
                for label in split.classes:
                    (folder / name / label).mkdir(parents=True)
                for index, (image, label) in enumerate(split):
                    image.save(folder / name / split.classes[label] / f"{index:05d}.png", compress_level=1)
                    advance(1)
