"""What a network sees in one image."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Prediction:
    """The most probable classes of the image at `path`, the first the most, by their numbers."""

    path: Path
    classes: list[int]
    probabilities: list[float]
