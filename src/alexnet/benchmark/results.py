"""Results of a benchmark, and their tables."""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from alexnet.benchmark.measure import Measurement
from alexnet.terminal import format_bytes


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
class VariantResult:
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
    ) -> "VariantResult":
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
    programs: list[VariantResult]
    parts: dict[str, float]
    by_batch_size: list[Point]
    by_data_size: list[Point]

    def cost_of_an_image(self) -> float | None:
        """Of the largest batch, over that of the smallest; below 1 large batches are cheaper by the image."""
        if len(self.by_batch_size) < 2:
            return None
        small, large = (self.by_batch_size[place] for place in (0, -1))
        return (large.seconds.median / large.size) / (small.seconds.median / small.size)


NOTES = (
    "ratio: images a second against stock modules in float32, round by round.",
    "of a product: arithmetic a second, as a share of what a product of two bfloat16 matrices reached beside"
    " it. Medians over the rounds, with the least and the most.",
    "first step: seconds, with whatever is compiled; new: nothing compiled before; again: from the cache on"
    " disk. Torchvision's network is a smaller one, without LRN, always of width 1.",
)


def tables(results: Results) -> str:
    """All that was measured; a part that was not is left out."""
    parts = [_variants(results), *NOTES]
    if results.parts:
        parts += ["", "Where a step of this program spends its time", *_parts(results)]
    if results.by_batch_size:
        parts += ["", "A step of this program by batch size", _by_batch_size(results)]
    if results.by_data_size:
        parts += ["", "Start-up by size of the data set, a pack to its first batch", _by_data_size(results)]
    return "\n".join(parts)


def _variants(results: Results) -> str:
    headings = (
        *("", "images/s\nmedian", "\nmin", "\nmax", "\nratio"),
        *("of a product\nmedian", "\nmin", "\nmax", "product\nTFLOP/s"),
        *("first step, s\nnew", "\nagain", "peak\nmemory"),
    )
    rows = [
        (
            each.title,
            *_spread(each.images_per_second, ",.1f"),
            "-" if each.ratio is None else f"{each.ratio:.2f}",
            *_spread(each.share, ".0%"),
            f"{each.product_flops_per_second / 1e12:.3f}",
            f"{each.first_new:.1f}",
            "-" if each.first_again is None else f"{each.first_again:.1f}",
            format_bytes(each.peak_bytes),
        )
        for each in results.programs
    ]
    return columns(headings, rows)


def _parts(results: Results) -> Iterable[str]:
    yield columns((), [(part, f"{share:.1%}") for part, share in results.parts.items()])


def _by_batch_size(results: Results) -> str:
    def row(point: Point) -> tuple[str, ...]:
        milliseconds = 1e3 * point.seconds.median
        each = (f"{point.size / point.seconds.median:,.1f}", f"{milliseconds / point.size:.2f}")
        return (f"{point.size:,}", *_milliseconds(point.seconds), *each)

    headings = ("images", "ms a step\nmedian", "\nmin", "\nmax", "\nimages/s", "\nms/image")
    text = columns(headings, [row(point) for point in results.by_batch_size])
    ratio = results.cost_of_an_image()
    if ratio is None:
        return text
    small, large = (results.by_batch_size[place].size for place in (0, -1))
    return f"{text}\nTime of an image in a batch of {large:,}, against one of {small:,}: {ratio:.2f}"


def _by_data_size(results: Results) -> str:
    rows = [(f"{point.size:,}", *_spread(point.seconds, ".2f")) for point in results.by_data_size]
    return columns(("training images", "seconds\nmedian", "\nmin", "\nmax"), rows)


def _milliseconds(seconds: Spread) -> tuple[str, ...]:
    return tuple(f"{1e3 * value:,.1f}" for value in (seconds.median, seconds.least, seconds.most))


def _spread(values: Spread, form: str) -> tuple[str, ...]:
    return tuple(format(value, form) for value in (values.median, values.least, values.most))


def columns(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Lines of cells, the first of each to the left, the others to the right; headings of up to two lines."""
    split = [heading.rpartition("\n")[::2] for heading in headings]
    lines = [*zip(*split, strict=True), *rows]
    widths = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if place else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )
