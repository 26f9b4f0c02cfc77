"""How far an axis of differences goes."""

from collections.abc import Sequence
from math import copysign
from statistics import median

from alexnet.compare.effects import Effect

FAR = 4  # times the others: an arm further out would press them together


def limits(effects: Sequence[Effect], claims: Sequence[float] = ()) -> tuple[float, float]:
    """The ends of the axis: zero, claims and all differences but those far outside.

    No more of an interval than leaves the differences apart.
    """
    intervals = [effect.interval for effect in effects if effect.interval is not None]
    half = median(high - low for low, high in intervals) / 2 if intervals else 0.0
    reach = _reach([effect.mean for effect in effects], max(half, 1.0, *map(abs, claims)))
    points = [0.0, *claims, *(copysign(min(abs(effect.mean), reach), effect.mean) for effect in effects)]
    ends = [end for effect in effects if abs(effect.mean) <= reach for end in effect.interval or ()]
    room = max(max(points) - min(points), 2 * half, 0.2)
    low = max(min([*points, *ends]), min(points) - room)
    high = min(max([*points, *ends]), max(points) + room)
    margin = 0.05 * max(high - low, 1)
    return low - margin, high + margin


def _reach(differences: list[float], least: float) -> float:
    """The largest size that the axis holds, `least` or more.

    Outside are those more than `FAR` times as large as all others, unless they are the majority.
    """
    reach = least
    for number, size in enumerate(sorted(map(abs, differences))):
        if size > FAR * reach and 2 * number >= len(differences):
            break
        reach = max(reach, size)
    return reach
