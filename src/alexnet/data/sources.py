"""The sources of data sets: the user's folders, synthetic images, downloads."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from alexnet.config import DataConfig, DataSource
from alexnet.data.folders import TRAIN_NAMES
from alexnet.data.locations import USER_SUPPLIED, require_root
from alexnet.data.synthetic import make_synthetic
from alexnet.errors import UserError
from alexnet.files import PARTIAL
from alexnet.terminal import console, progress_bar


@dataclass(frozen=True)
class Download:
    """A data set that torchvision downloads, with the `bytes` of its archive, and in total `on_disk`."""

    name: str
    url: str
    unpacked: str
    bytes: float
    on_disk: float


DOWNLOADS = {
    DataSource.cifar10: Download(
        "CIFAR-10",
        "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
        "cifar-10-batches-py",
        170e6,
        0.7e9,
    ),
    DataSource.imagenette: Download(
        "Imagenette",
        "https://s3.amazonaws.com/fast-ai-imageclas/imagenette2-320.tgz",
        "imagenette2-320",
        340e6,
        0.7e9,
    ),
}


def missing_download(config: DataConfig) -> Download | None:
    """Return the download that `ensure_downloaded` would start; None if none is needed.

    Raises `UserError` for a root that does not exist.
    """
    root = require_root(config)
    download = DOWNLOADS.get(config.source)
    if download is None or _find_copy(root) or (root / download.unpacked).is_dir():
        return None
    return download


def ensure_downloaded(config: DataConfig, workers: int) -> Path:
    """Return the folder of the images, which are generated or downloaded first if necessary.

    Raises `UserError` if there is no copy and none can be downloaded.
    """
    root = require_root(config)
    if config.source in USER_SUPPLIED:
        return root
    root.mkdir(parents=True, exist_ok=True)
    if config.source is not DataSource.synthetic and (copy := _find_copy(root)):
        return copy  # used unchanged; it may be read-only
    try:
        with FileLock(root / ".lock"):  # of ranks and runs that start together one works, the others wait
            return _make_or_download(config, root, workers)
    except PermissionError as error:
        raise UserError(f"data.root={config.root}: not writable ({error.strerror}).") from error


def _make_or_download(config: DataConfig, root: Path, workers: int) -> Path:
    if config.source is DataSource.synthetic:
        if config.synthetic is None:
            raise UserError("data.synthetic=null: the size of the synthetic data is not set.")
        return make_synthetic(root, config.synthetic, workers)
    download = _download_cifar10 if config.source is DataSource.cifar10 else _download_imagenette
    return _find_copy(root) or download(root)


def _find_copy(root: Path) -> Path | None:
    """Return the folder, `root` itself or one inside it, that holds a folder of training images."""
    for folder in (root, *sorted(root.glob("*/"))):
        if folder.suffix != PARTIAL and any((folder / name).is_dir() for name in TRAIN_NAMES):
            return folder
    return None


def _download_imagenette(root: Path) -> Path:
    from torchvision.datasets import Imagenette

    download = DOWNLOADS[DataSource.imagenette]
    folder, partial = root / download.unpacked, root / f"{download.unpacked}{PARTIAL}"
    _announce(download, root)
    shutil.rmtree(partial / download.unpacked, ignore_errors=True)  # torchvision would take it for complete
    try:
        Imagenette(str(partial), size="320px", download=True)
        (partial / download.unpacked).rename(folder)  # fails if there are files that are not a copy
    except Exception as error:
        raise download_error(download.name, root, error) from error
    shutil.rmtree(partial)
    return folder


def _download_cifar10(root: Path) -> Path:
    """Write CIFAR-10 as PNG files, from torchvision's copy, which is downloaded if it is missing."""
    from torchvision.datasets import CIFAR10

    download = DOWNLOADS[DataSource.cifar10]
    if not (root / download.unpacked).is_dir():
        _announce(download, root)
    try:
        splits = {
            name: CIFAR10(str(root), train=name == "train", download=True) for name in ("train", "test")
        }
    except Exception as error:
        raise download_error(download.name, root, error) from error

    folder, partial = root / "png", root / f"png{PARTIAL}"
    shutil.rmtree(partial, ignore_errors=True)
    with progress_bar("Writing CIFAR-10 as PNG files", sum(map(len, splits.values()))) as advance:
        for name, split in splits.items():
            for label in split.classes:
                (partial / name / label).mkdir(parents=True)
            for index, (image, label) in enumerate(split):
                image.save(partial / name / split.classes[label] / f"{index:05d}.png", compress_level=1)
                advance(1)
    partial.rename(folder)
    return folder


def _announce(download: Download, root: Path) -> None:
    size = f"{download.bytes / 1e6:.0f} MB"
    console.print(f"Downloading {download.name} to {root} (about {size})", markup=False)


def download_error(name: str, root: Path, error: Exception) -> UserError:
    """Return the error for a data set that cannot be downloaded."""
    return UserError(
        f"{name} is not in {root} and could not be downloaded ({type(error).__name__}: {error})."
        f" Put a copy with the folders train and val (or test) there, or set data.root to its folder."
    )
