"""A configuration of features for tests."""

from typing import Any

from alexnet.config import Features, HandMadeConfig


def hand_made(**given: Any) -> HandMadeConfig:
    """Small: 16x16 pixels, cells of 4, blocks of 2x2 cells."""
    keys: dict[str, Any] = {"features": Features.hog_and_color, "image_size": 16, "orientations": 9}
    keys |= {
        "pixels_per_cell": 4,
        "cells_per_block": 2,
        "color_bins": 4,
        "alpha": 0.01,
        "max_iterations": 100,
    }
    return HandMadeConfig(**(keys | given))
