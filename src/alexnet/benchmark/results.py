"""What was measured, and what follows from it; plain data, for the table, the pictures and result.json."""

import statistics
from collections.abc import Iterable
from dataclasses import dataclass

from alexnet.benchmark.measure import Measurement


@dataclass(frozen=True)
class Spread:
    """Over the rounds."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Iterable[float]) -> "Spread":
        each = list(values)
        return cls(statistics.median(each), min(each), max(each))


@dataclass(frozen=True)
class ProgramResult:
    """One program over all rounds.

    `ratio` is how many times as fast as the base it is, round by round; None where the base was not
    measured. `share` is the rate of arithmetic as a share of the matrix product's. `first_again` is the
    first step where the compiler's cache is on disk; None after a single round.
    """

    name: str
    title: str
    images_per_second: Spread
    seconds: Spread
    ratio: float | None
    share: Spread
    product_flops_per_second: float
    first_new: float
    first_again: float | None
    peak_bytes: float
    rounds: list[Measurement]

    @classmethod
    def of(
        cls,
        name: str,
        title: str,
        rounds: list[Measurement],
        base: list[Measurement] | None,
        batch_size: int,
        flops: float,
    ) -> "ProgramResult":
        """`flops` are those of a step."""
        ratio = None
        if base is not None:
            pairs = zip(base, rounds, strict=True)
            ratio = statistics.median(one.seconds / other.seconds for one, other in pairs)
        again = [each.first for each in rounds[1:]]
        return cls(
            name,
            title,
            Spread.of(batch_size / each.seconds for each in rounds),
            Spread.of(each.seconds for each in rounds),
            ratio,
            Spread.of(flops / each.seconds / each.product for each in rounds),
            statistics.median(each.product for each in rounds),
            rounds[0].first,
            statistics.median(again) if again else None,
            max(each.peak for each in rounds),
            rounds,
        )


@dataclass(frozen=True)
class Point:
    """A cost at one size: seconds of a step, or of a start."""

    size: int
    seconds: Spread


@dataclass(frozen=True)
class Results:
    """Of one benchmark. `parts` are the shares of this program's step; empty where it was not measured."""

    heading: str  # machine and configuration, in a line
    programs: list[ProgramResult]
    parts: dict[str, float]
    by_batch_size: list[Point]
    by_data_size: list[Point]

    def cost_of_an_image(self) -> float | None:
        """Of the largest batch, over that of the smallest; below 1 large batches are cheaper by the image."""
        if len(self.by_batch_size) < 2:
            return None
        small, large = (self.by_batch_size[place] for place in (0, -1))
        return (large.seconds.median / large.size) / (small.seconds.median / small.size)
