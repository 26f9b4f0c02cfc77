"""Arms that are different models: which of their differences are reported, and when each was published."""

import re
from collections.abc import Iterable
from functools import cache
from typing import Any

import yaml

from alexnet.config.hashing import is_under
from alexnet.paths import CONF

NAME = "model.name"
ABSENT = "absent"  # the value of a key that a run's configuration does not have

Changes = dict[str, tuple[Any, Any]]  # key -> the baseline's value and the arm's


def reported_changes(changed: Changes, arm: dict[str, Any], factors: frozenset[str] = frozenset()) -> Changes:
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


def factors_within_models(settings: Iterable[dict[str, Any]]) -> frozenset[str]:
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


# the first words of a model's name -> the year, in the order of publication
YEARS = {
    "lenet": 1998,  # LeCun, Bottou, Bengio & Haffner, Proceedings of the IEEE
    "alexnet": 2012,  # Krizhevsky, Sutskever & Hinton
    "vgg": 2014,  # Simonyan & Zisserman, 1409.1556
    "googlenet": 2014,  # Szegedy et al., 1409.4842
    "inception_v3": 2015,  # Szegedy et al., 1512.00567
    "resnet": 2015,  # He et al., 1512.03385
    "squeezenet": 2016,  # Iandola et al., 1602.07360
    "wide_resnet": 2016,  # Zagoruyko & Komodakis, 1605.07146
    "densenet": 2016,  # Huang et al., 1608.06993
    "resnext": 2016,  # Xie et al., 1611.05431
    "mobilenet_v2": 2018,  # Sandler et al., 1801.04381
    "shufflenet_v2": 2018,  # Ma et al., 1807.11164
    "mnasnet": 2018,  # Tan et al., 1807.11626
    "mobilenet_v3": 2019,  # Howard et al., 1905.02244
    "efficientnet": 2019,  # Tan & Le, 1905.11946
    "regnet": 2020,  # Radosavovic et al., 2003.13678
    "vit": 2020,  # Dosovitskiy et al., 2010.11929
    "swin": 2021,  # Liu et al., 2103.14030
    "efficientnet_v2": 2021,  # Tan & Le, 2104.00298
    "swin_v2": 2021,  # Liu et al., 2111.09883
    "convnext": 2022,  # Liu et al., 2201.03545
    "maxvit": 2022,  # Tu et al., 2204.01697
}
# features made by hand, by the name of a run of classical.py
HAND_MADE = {
    "color": 1991,  # Swain & Ballard, International Journal of Computer Vision
    "hog": 2005,  # Dalal & Triggs, CVPR
    "hog_and_color": 2005,
}


def year_of(name: str) -> int | None:
    """The year of a network, or of hand-made features; None where it is not known."""
    if name in HAND_MADE:
        return HAND_MADE[name]
    family = _family(name)
    return None if family is None else YEARS[family]


def historical_order(name: str) -> tuple[int, int]:
    """A key to sort by: hand-made features, then networks as they were published, then those not known."""
    if name in HAND_MADE:
        return (0, list(HAND_MADE).index(name))
    family = _family(name)
    return (2, 0) if family is None else (1, list(YEARS).index(family))


def _family(name: str) -> str | None:
    """The longest of the known names that this one begins with: efficientnet_v2_s is no efficientnet."""
    known = [family for family in YEARS if name.startswith(family)]
    return max(known, key=len, default=None)
