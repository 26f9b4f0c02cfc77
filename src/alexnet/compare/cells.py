"""Which cells of a table stay on one line."""

import re

WORD = re.compile(r"[^\W\d_]{3}")
LONGEST_NUMBER = 24  # characters


def is_number(cell: str) -> bool:
    """Return whether a cell is to stay on one line: a number, an interval (+0.20 to +2.60), or 2 of 3."""
    return len(cell) < LONGEST_NUMBER and not WORD.search(cell)
