"""Selection of the differences to report for an arm whose model is not the baseline's."""

import re
from collections.abc import Iterable
from functools import cache
from typing import Any

import yaml

from alexnet.config.hashing import is_under
from alexnet.paths import CONF

NAME_KEY = "model.name"
ABSENT = "absent"  # the value of a key that a run's configuration does not have

Changes = dict[str, tuple[Any, Any]]  # key -> the baseline's value and the arm's


def reported_changes(changed: Changes, arm: dict[str, Any], factors: frozenset[str] = frozenset()) -> Changes:
    """Select the changes of an arm with the settings `arm` that the name of its model does not imply.

    These are all changes where both are the same network, or where the arm is a network without a preset that
    has the baseline's keys. For another network they are the name, what both have outside of `model`, what
    departs from its preset under `model`, and the `factors` that it has. All the rest, such as keys that
    only one of the two has, makes it that network.
    """
    if NAME_KEY not in changed:
        return changed
    preset = _preset(str(arm.get(NAME_KEY)))
    same_keys = not any(ABSENT in pair for key, pair in changed.items() if is_under(key, ("model",)))
    if same_keys and not preset:
        return {NAME_KEY: changed[NAME_KEY], **changed}

    def implied(key: str) -> bool:
        if is_under(key, ("model",)):
            return preset.get(key, arm.get(key)) == arm.get(key)
        return ABSENT in changed[key]

    others = [key for key in changed if key in factors & arm.keys() or not implied(key)]
    return {key: changed[key] for key in dict.fromkeys([NAME_KEY, *others])}


def factors_within_models(settings: Iterable[dict[str, Any]]) -> frozenset[str]:
    """Return the keys in which runs of one and the same network differ."""
    by_name: dict[str, list[dict[str, Any]]] = {}
    for run in settings:
        by_name.setdefault(str(run.get(NAME_KEY)), []).append(run)
    keys = set()
    for first, *others in by_name.values():
        for other in others:
            keys |= {key for key in first.keys() | other.keys() if first.get(key) != other.get(key)}
    return frozenset(keys)


def is_alexnet(name: str) -> bool:
    """Return whether a model of this name is AlexNet in one of its forms."""
    return name == "alexnet" or name.startswith("alexnet_")


@cache
def _preset(name: str) -> dict[str, Any]:
    """Read conf/model/<name>.yaml and what it builds on, with dotted keys; empty without such a file."""
    file = CONF / "model" / f"{name}.yaml"
    if not re.fullmatch(r"\w+", name) or not file.is_file():
        return {}
    content: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
    keys: dict[str, Any] = {}
    for base in content.pop("defaults", []):
        if isinstance(base, str) and base != "_self_":
            keys |= _preset(base)
    return keys | {f"model.{key}": value for key, value in content.items() if "${" not in str(value)}
