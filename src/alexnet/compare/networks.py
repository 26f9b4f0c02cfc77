"""Arms that are different networks: which of their many differences a reader is told by key."""

import re
from collections.abc import Iterable
from functools import cache
from typing import Any

import yaml

from alexnet.paths import CONF
from alexnet.run.settings import is_under

NAME = "model.name"
ABSENT = "absent"  # the value of a key that a run's configuration does not have

Changes = dict[str, tuple[Any, Any]]  # key -> the baseline's value and the arm's


def told(changed: Changes, arm: dict[str, Any], factors: frozenset[str] = frozenset()) -> Changes:
    """Of what differs between the baseline and an arm of these settings, what its name does not say.

    Everything, where both are the same network, or the arm is a network without a preset that has the
    baseline's keys. Of another: its name; what both have outside of `model`; under `model` what is not its
    preset's; and the `factors` that it has. The rest, as all keys that only one of the two has, is
    what makes it that network.
    """
    if NAME not in changed:
        return changed
    preset = _preset(str(arm.get(NAME)))
    same_keys = not any(ABSENT in pair for key, pair in changed.items() if is_under(key, ("model",)))
    if same_keys and not preset:
        return {NAME: changed[NAME], **changed}

    def goes_without_saying(key: str) -> bool:
        if is_under(key, ("model",)):
            return preset.get(key, arm.get(key)) == arm.get(key)
        return ABSENT in changed[key]

    others = [key for key in changed if key in factors & arm.keys() or not goes_without_saying(key)]
    return {key: changed[key] for key in dict.fromkeys([NAME, *others])}


def factors_within(settings: Iterable[dict[str, Any]]) -> frozenset[str]:
    """Keys in which runs of one and the same network differ."""
    by_name: dict[str, list[dict[str, Any]]] = {}
    for each in settings:
        by_name.setdefault(str(each.get(NAME)), []).append(each)
    keys = set()
    for first, *others in by_name.values():
        for other in others:
            keys |= {key for key in first.keys() | other.keys() if first.get(key) != other.get(key)}
    return frozenset(keys)


def is_alexnet(name: str) -> bool:
    """Whether a model of this name is AlexNet in one of its forms."""
    return name == "alexnet" or name.startswith("alexnet_")


@cache
def _preset(name: str) -> dict[str, Any]:
    """conf/model/<name>.yaml and what it builds on, with dotted keys; empty where there is none."""
    file = CONF / "model" / f"{name}.yaml"
    if not re.fullmatch(r"\w+", name) or not file.is_file():
        return {}
    content: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
    keys: dict[str, Any] = {}
    for base in content.pop("defaults", []):
        if isinstance(base, str) and base != "_self_":
            keys |= _preset(base)
    return keys | {f"model.{key}": value for key, value in content.items() if "${" not in str(value)}
