"""What somebody who has an exported network must know of it."""

import json
from typing import Any

import torch

from alexnet.export.from_pixels import BATCH, IMAGES, LOGITS
from alexnet.run.trained import Trained


def describe(trained: Trained, *, mean_inside: bool) -> dict[str, Any]:
    """Plain data: how to make an input of a photograph, what the outputs are, where the weights are from."""
    size, stored = trained.crops.size, trained.stored_size
    border = trained.crops.slack // 2
    return {
        "network": trained.network.config.name,
        "checkpoint": trained.checkpoint.name,
        "image_size": size,
        "stored_size": stored,
        "input": {
            "name": IMAGES,
            "shape": [BATCH, 3, size, size],
            "dtype": "float32",
            "channels": "RGB",
            "values": "0 to 255" if mean_inside else "0 to 255, less mean",
        },
        "crop": {
            "shorter_side": stored,
            "resize": "bilinear, antialiased",
            "then": "centre",
            "size": size,
            "left_and_top": border,  # in the centre square of stored x stored pixels
        },
        "output": {"name": LOGITS, "shape": [BATCH, len(trained.classes)], "probabilities": "softmax"},
        "classes": list(trained.classes),
        "class_names": list(trained.class_names),
        "torch": torch.__version__,
        "config": trained.config,
    }


def as_strings(description: dict[str, Any]) -> dict[str, str]:
    """For what keeps strings alone: whatever is none, as JSON."""
    return {key: value if isinstance(value, str) else json.dumps(value) for key, value in description.items()}
