"""Sentences of a comparison."""

import pytest

from alexnet.compare.narrative import _numbers


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        ({3}, "3"),
        ({1, 0}, "0, 1"),
        ({2, 0, 1}, "0 to 2"),
        ({0, 1, 2, 3, 4, 7, 8, 1000}, "0 to 4, 7, 8, 1000"),
        (set(), ""),
    ],
)
def test_numbers_in_a_row_are_a_range(numbers: set[int], text: str) -> None:
    assert _numbers(numbers) == text
