"""Sources of images that are made or downloaded when they are not there."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from alexnet.config import DataConfig
from alexnet.data.locations import require_root
from alexnet.data.locks import exclusive
from alexnet.errors import UserError, explain_failure
from alexnet.files import PARTIAL
from alexnet.terminal import console


@dataclass(frozen=True)
class Download:
    """A data set to download: its archive has `bytes`, and in total it needs `on_disk` bytes.

    `unpacked` is the folder in `data.root` that unpacking the archive creates.
    """

    name: str
    url: str
    unpacked: str
    bytes: float
    on_disk: float


@dataclass
class FetchedDataConfig(DataConfig):
    """Images that are made or downloaded into `root`, as class folders, unless it contains a copy."""

    required_methods: ClassVar[tuple[str, ...]] = ("make",)
    fetched = True
    download: ClassVar[Download | None] = None  # what `fetch` downloads; None if it makes the images

    def find(self, root: Path) -> Path | None:
        """Return the folder with training images, `root` or one inside it; None if there is none.

        The images are in a subfolder for training, or in archives.
        """
        from alexnet.data.archives import find_archives
        from alexnet.data.splits import SplitKind, split_kind  # imports torch

        for folder in (root, *sorted(root.glob("*/"))):
            kinds = (split_kind(inner.name) for inner in folder.glob("*/"))
            if folder.suffix != PARTIAL and SplitKind.train in kinds:
                return folder
        return root if find_archives(root) else None

    def make(self, folder: Path, workers: int) -> None:
        """Make or download the images into `folder`, as train/<class>/ and val/<class>/.

        Called if `find` returns None, by one process at a time. `folder` is a new folder in `data.root`
        that becomes the data set when this returns; what an interrupted call leaves is never used.
        """
        raise NotImplementedError

    def fetch(self, root: Path, workers: int) -> Path:
        """Make the images in a new folder in `root`, and return it. Raises `UserError` if it exists."""
        folder, partial = root / self.source, root / f"{self.source}{PARTIAL}"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        self.make(partial, workers)
        try:
            return partial.rename(folder)
        except OSError as error:
            raise UserError(
                f"{folder} is in the way, and is no data set: {error.strerror}. Move it."
            ) from error


def missing_download(config: DataConfig) -> Download | None:
    """Return the download that `ensure_fetched` would start; None if none is needed.

    Raises `UserError` for a root that does not exist.
    """
    root = require_root(config)
    if not isinstance(config, FetchedDataConfig) or config.download is None:
        return None
    there = config.find(root) or (root / config.download.unpacked).is_dir()
    return None if there else config.download


def ensure_fetched(config: DataConfig, workers: int) -> Path:
    """Return the folder of the images, which are made or downloaded first if necessary.

    Raises `UserError` if there is no copy and none can be downloaded.
    """
    root = require_root(config)
    if not isinstance(config, FetchedDataConfig):
        return root
    try:
        root.mkdir(parents=True, exist_ok=True)
        if copy := config.find(root):
            return copy  # used unchanged; it may be read-only
        with exclusive(root / ".lock", f"the images in {root}", "data.root"):
            return config.find(root) or config.fetch(root, workers)
    except OSError as error:
        what = f"{explain_failure(error) or error} What is there is not used"
        raise UserError(
            f"data.root={config.root}: {what}; the same command makes the images again."
        ) from error


def announce(download: Download, root: Path) -> None:
    """Print that a download begins."""
    size = f"{download.bytes / 1e6:.0f} MB"
    console.print(f"Downloading {download.name} to {root} (about {size})", markup=False)


def download_error(name: str, root: Path, error: Exception) -> UserError:
    """Return the error for a data set that cannot be downloaded."""
    return UserError(
        f"{name} is not in {root} and could not be downloaded ({type(error).__name__}: {error})."
        f" Put a copy with the folders train and val (or test) there, or set data.root to its folder."
    )
