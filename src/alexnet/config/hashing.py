"""The keys that determine a run's result, and a hash of their values."""

import hashlib
import json
from functools import lru_cache
from typing import Any

# monitoring, loading and naming do not change what a run computes
UNHASHED_KEYS = (
    *("outputs", "run_folder", "study_folder", "resume", "logger", "claim", "study", "extensions"),
    *("data.cache", "data.workers", "data.in_memory", "data.resident"),
    *("trainer.log_every_n_steps", "trainer.max_time", "trainer.rendezvous_timeout"),
    *("callbacks.checkpoint", "callbacks.activation_monitor"),
)

# where the data lies is no factor of an experiment, nor part of a sweep's name, but it is hashed: another
# data.root may hold other images
PLACE_KEYS = ("data.root", "data.pack", "data.max_unreadable")
NON_FACTOR_KEYS = (*UNHASHED_KEYS, *PLACE_KEYS, "seed")


def config_hash(config: dict[str, Any]) -> str:
    """Hash all values of the resolved configuration that can change the result."""
    hashed = {key: value for key, value in flatten(config).items() if not is_under(key, UNHASHED_KEYS)}
    return hashlib.sha256(json.dumps(hashed, sort_keys=True).encode()).hexdigest()[:8]


def flatten(config: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flatten a nested configuration to dotted keys: {"model.lrn": true, ...}.

    Empty mappings, and those with a dot in one of their own keys, such as layers' names, are values.
    """
    leaves: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, dict) and value and not any("." in str(name) for name in value):
            leaves |= flatten(value, f"{prefix}{key}.")
        else:
            leaves[f"{prefix}{key}"] = value
    return leaves


def nest(leaves: dict[str, Any]) -> dict[str, Any]:
    """Nest a flat configuration; the inverse of `flatten`."""
    config: dict[str, Any] = {}
    for key, value in leaves.items():
        *parents, name = key.split(".")
        node = config
        for parent in parents:
            node = node.setdefault(parent, {})
        node[name] = value
    return config


def is_under(key: str, names: tuple[str, ...]) -> bool:
    """Return whether a dotted key is one of `names` or below one: data.augment.flip is under data.augment."""
    return f"{key}.".startswith(_prefixes(names))


@lru_cache
def _prefixes(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the beginnings of keys; cached, for the millions of keys of hundreds of runs."""
    return tuple(f"{name}." for name in names)
