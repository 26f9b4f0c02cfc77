"""ImageNet's classes: their wnids, words and numbers."""

from functools import cache
from pathlib import Path

CLASSES = 1000


@cache
def class_names() -> dict[str, str]:
    """Map each wnid to its words, such as n01440764 to "tench, Tinca tinca", in the order of the labels."""
    lines = Path(__file__).with_name("ilsvrc2012_synsets.txt").read_text(encoding="utf-8").splitlines()
    return dict(line.split(" ", 1) for line in lines)


@cache
def ids() -> list[str]:
    """Return the wnids in the order of their ILSVRC2012_ID, from 1, as in the development kit's meta.mat."""
    return Path(__file__).with_name("ilsvrc2012_ids.txt").read_text(encoding="utf-8").split()
