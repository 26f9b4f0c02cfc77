"""Whether a network's training has started: its error is clearly below that of chance."""

import math

NEAR_CHANCE = 0.97  # of the error at chance: what chance can give by itself on many images
DEVIATIONS = 3  # standard errors of the error at chance, which on few images are more than that


def chance_error(classes: int) -> float:
    """Return the top-1 error of guessing, in percent."""
    return 100 * (1 - 1 / classes)


def has_started(top1_error: float, classes: int | None, images: int | None = None) -> bool:
    """Return whether an error in percent, measured on `images`, is clearly below that of chance.

    Without the number of classes it is taken to be.
    """
    if classes is None:
        return True
    chance = chance_error(classes)
    margin = chance * (1 - NEAR_CHANCE)
    if images:
        margin = max(margin, DEVIATIONS * math.sqrt(chance * (100 - chance) / images))
    return top1_error < chance - margin
