"""Where the images of a data set and its pack are; usable before torch is imported."""

import hashlib
from pathlib import Path

from alexnet.config import DataConfig, DataSource
from alexnet.errors import UserError
from alexnet.paths import PROJECT

PACK_VERSION = 2  # increase it when the format of packs or the decoding changes
USER_SUPPLIED = (DataSource.folder, DataSource.imagenet)


def require_data(config: DataConfig) -> None:
    """Raise `UserError` where there is neither a pack nor a folder of images to read."""
    if pack_folder(config).is_dir():
        return
    if config.pack is not None:
        raise UserError(f"data.pack={config.pack}: there is no pack. Make it: python src/prepare.py ...")
    require_root(config)


def require_root(config: DataConfig) -> Path:
    """Return the absolute `data.root`.

    Raises `UserError` where it is missing; only folders in the project's own data/ are made later.
    """
    root = Path(config.root).expanduser().absolute()
    user_supplied = config.source in USER_SUPPLIED
    if not root.is_dir() and (user_supplied or not root.is_relative_to(PROJECT / "data")):
        advice = "" if user_supplied else " Make it, or leave data.root out."
        raise UserError(f"data.root={config.root}: there is no such folder.{advice}")
    return root


def pack_folder(config: DataConfig) -> Path:
    """Return where the pack of a data set is if it has been made: `data.pack`, or a folder in the cache."""
    if config.pack is not None:
        return Path(config.pack).expanduser().absolute()
    root = str(Path(config.root).expanduser().absolute())
    settings = (PACK_VERSION, config.source.value, root, config.resize_size, config.val_fraction)
    key = hashlib.sha256(f"{settings} {config.synthetic}".encode(errors="surrogateescape")).hexdigest()[:12]
    return Path(config.cache).expanduser().absolute() / "packs" / f"{config.name}-{key}"
