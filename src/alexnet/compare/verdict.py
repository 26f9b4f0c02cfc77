"""What a measured interval says about a claim."""

from enum import Enum

from alexnet.compare.effects import Interval

NO_DIFFERENCE = 0.0


class Verdict(Enum):
    """The relation of an interval to a claimed value, and to the value that would mean no effect.

    A claim is untested where the images are not of the kind that it is about.
    """

    agrees = "agrees"
    larger = "same sign, larger"
    smaller = "same sign, smaller"
    disagrees = "disagrees"
    unknown = "cannot tell"
    untested = "not tested"


def verdict(
    interval: Interval | None, claimed: float | None, no_effect: float = NO_DIFFERENCE
) -> Verdict | None:
    """Return the verdict on a claim; None where nothing was claimed.

    An interval that holds the claim agrees with it, unless it holds `no_effect` as well: then it cannot tell
    the two apart, nor can a measurement without an interval. One that holds neither has at least the claim's
    sign or the other; one that holds `no_effect` and not the claim disagrees.
    """
    if claimed is None:
        return None
    if interval is None:
        return Verdict.unknown
    low, high = interval
    holds_nothing = low <= no_effect <= high
    if low <= claimed <= high:
        return Verdict.unknown if holds_nothing else Verdict.agrees
    if holds_nothing or (low > no_effect) != (claimed > no_effect):
        return Verdict.disagrees
    beyond = low > claimed if claimed > no_effect else high < claimed
    return Verdict.larger if beyond else Verdict.smaller


def verdict_text(interval: Interval | None, claimed: float | None, no_effect: float = NO_DIFFERENCE) -> str:
    """Format a verdict; a hyphen where nothing was claimed."""
    found = verdict(interval, claimed, no_effect)
    return "-" if found is None else found.value


def verdict_in_words(interval: Interval | None) -> str:
    """Format the verdict on the claim that an error is higher, without a number."""
    if interval is None or interval[0] <= NO_DIFFERENCE <= interval[1]:
        return Verdict.unknown.value
    return (Verdict.agrees if interval[0] > NO_DIFFERENCE else Verdict.disagrees).value
