"""Locations of a data set's images and of its pack; does not import torch."""

import hashlib
from dataclasses import fields
from pathlib import Path

from alexnet.config import DataConfig
from alexnet.errors import UserError
from alexnet.paths import PROJECT, absolute

PACK_VERSION = 4  # increase it when the format of packs or the decoding changes


def require_data(config: DataConfig) -> None:
    """Raise `UserError` if there is neither a pack nor a folder of images."""
    if pack_folder(config).is_dir():
        return
    if config.pack is not None:
        raise UserError(f"data.pack={config.pack}: there is no pack. Make it with prepare.py.")
    require_root(config)


def require_root(config: DataConfig) -> Path:
    """Return the absolute `data.root`.

    Raises `UserError` if it does not exist, except in the project's data/, where it is created later.
    """
    root = absolute(config.root)
    if not root.is_dir() and not (config.fetched and root.is_relative_to(PROJECT / "data")):
        advice = " Create it, or leave data.root out." if config.fetched else ""
        raise UserError(f"data.root={config.root}: there is no such folder.{advice}")
    return root


def own_settings(config: DataConfig) -> str | None:
    """Return the values of the keys that only this data source has, for a hash; None without any."""
    own = [getattr(config, key.name) for key in fields(config)[len(fields(DataConfig)) :]]
    return ", ".join(map(str, own)) or None


def pack_folder(config: DataConfig) -> Path:
    """Return the folder of a data set's pack, which may not exist: `data.pack`, or a folder in the cache."""
    if config.pack is not None:
        return absolute(config.pack)
    root = str(absolute(config.root))
    settings = (PACK_VERSION, config.source, root, config.resize_size, config.val_fraction)
    text = f"{settings} {own_settings(config)}{' intact' if config.exclude_damaged else ''}"
    key = hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:12]
    return absolute(config.cache) / "packs" / f"{config.name}-{key}"
