"""Imagenette: photographs of ten of ImageNet's classes."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from alexnet.config.data import register_data
from alexnet.data.fetching import Download, FetchedDataConfig, announce, download_error
from alexnet.files import PARTIAL


@register_data("imagenette")
@dataclass
class ImagenetteConfig(FetchedDataConfig):
    """Imagenette, 320 pixels, which torchvision downloads."""

    required_methods = ()
    download: ClassVar[Download] = Download(
        "Imagenette",
        "https://s3.amazonaws.com/fast-ai-imageclas/imagenette2-320.tgz",
        "imagenette2-320",
        bytes=340e6,
        on_disk=0.7e9,
    )

    def fetch(self, root: Path, workers: int) -> Path:
        from torchvision.datasets import Imagenette

        download = self.download
        folder, partial = root / download.unpacked, root / f"{download.unpacked}{PARTIAL}"
        announce(download, root)
        # torchvision would take it for complete
        shutil.rmtree(partial / download.unpacked, ignore_errors=True)
        try:
            Imagenette(str(partial), size="320px", download=True)
            (partial / download.unpacked).rename(folder)  # fails if there are files that are not a copy
        except Exception as error:
            raise download_error(download.name, root, error) from error
        shutil.rmtree(partial)
        return folder
