"""Results of a benchmark, and their tables."""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from io import StringIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from alexnet.benchmark.measure import Measurement
from alexnet.terminal import format_bytes


@dataclass(frozen=True)
class Spread:
    """Median, minimum and maximum over the rounds."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Iterable[float]) -> "Spread":
        """Summarize the values of all rounds."""
        sample = list(values)
        return cls(statistics.median(sample), min(sample), max(sample))


@dataclass(frozen=True)
class VariantResult:
    """Result of one variant over all rounds.

    `ratio` is the median, over the rounds, of how many times as fast as the base it is; None if the base was
    not measured. `share` is its arithmetic rate as a share of the matrix product's. `first_new` and
    `first_again` are the seconds of the first step without and with the compiler's cache on disk; the latter
    is None after a single round.
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
        """Summarize the rounds of a variant; `flops` are the floating-point operations of a step."""
        ratio = None
        if base is not None:
            pairs = zip(base, rounds, strict=True)
            ratio = statistics.median(one.seconds / other.seconds for one, other in pairs)
        again = [measurement.first for measurement in rounds[1:]]
        return cls(
            name,
            title,
            Spread.of(batch_size / measurement.seconds for measurement in rounds),
            Spread.of(measurement.seconds for measurement in rounds),
            ratio,
            Spread.of(flops / measurement.seconds / measurement.product for measurement in rounds),
            statistics.median(measurement.product for measurement in rounds),
            rounds[0].first,
            statistics.median(again) if again else None,
            max(measurement.peak for measurement in rounds),
            rounds,
        )


@dataclass(frozen=True)
class Point:
    """Time at one size: seconds of a step, or of start-up."""

    size: int
    seconds: Spread


@dataclass(frozen=True)
class Results:
    """Results of one benchmark.

    `parts` holds the share of each part in the time of this program's step; it is empty if that was not
    measured.
    """

    heading: str  # machine and configuration, in a line
    product_dtype: str  # type of the matrices whose product the steps are measured against
    variants: list[VariantResult]
    parts: dict[str, float]
    by_batch_size: list[Point]
    by_data_size: list[Point]

    def cost_of_an_image(self) -> float | None:
        """Return the time of an image in the largest batch over that in the smallest.

        Below 1, large batches are cheaper per image; None if fewer than two batch sizes were measured.
        """
        if len(self.by_batch_size) < 2:
            return None
        small, large = self.by_batch_size[0], self.by_batch_size[-1]
        return (large.seconds.median / large.size) / (small.seconds.median / small.size)


TABLE_WIDTH = 1000  # characters, more than any table has: nothing is wrapped
NOTES = (
    "ratio: images/s relative to stock modules in float32, round by round.",
    "of a product: FLOP/s, as a share of those of a product of two {dtype} matrices measured right"
    " afterwards. Medians over the rounds, with minimum and maximum.",
    "first step: seconds, compilation included; new: nothing compiled before; again: from the cache on disk."
    " Torchvision's network is smaller, without LRN, and always of width 1.",
)


def tables(results: Results) -> str:
    """Return tables of all that was measured, as text."""
    notes = [note.format(dtype=results.product_dtype) for note in NOTES]
    sections = [_variants(results), *notes]
    if results.parts:
        shares = [(part, f"{share:.1%}") for part, share in results.parts.items()]
        sections += ["", "Where a step of this program spends its time", format_table((), shares)]
    if results.by_batch_size:
        sections += ["", "A step of this program by batch size", _by_batch_size(results)]
    if results.by_data_size:
        sections += [
            "",
            "Start-up by size of the data set, a pack to its first batch",
            _by_data_size(results),
        ]
    return "\n".join(sections)


def _variants(results: Results) -> str:
    headings = (
        *("", "images/s\nmedian", "\nmin", "\nmax", "\nratio"),
        *("of a product\nmedian", "\nmin", "\nmax", "product\nTFLOP/s"),
        *("first step, s\nnew", "\nagain", "peak\nmemory"),
    )
    rows = [
        (
            result.title,
            *_spread(result.images_per_second, ",.1f"),
            "-" if result.ratio is None else f"{result.ratio:.2f}",
            *_spread(result.share, ".0%"),
            f"{result.product_flops_per_second / 1e12:.3f}",
            f"{result.first_new:.1f}",
            "-" if result.first_again is None else f"{result.first_again:.1f}",
            format_bytes(result.peak_bytes),
        )
        for result in results.variants
    ]
    return format_table(headings, rows)


def _by_batch_size(results: Results) -> str:
    def row(point: Point) -> tuple[str, ...]:
        rate = f"{point.size / point.seconds.median:,.1f}"
        per_image = f"{1e3 * point.seconds.median / point.size:.2f}"
        return (f"{point.size:,}", *_milliseconds(point.seconds), rate, per_image)

    headings = ("images", "ms a step\nmedian", "\nmin", "\nmax", "\nimages/s", "\nms/image")
    text = format_table(headings, [row(point) for point in results.by_batch_size])
    ratio = results.cost_of_an_image()
    if ratio is None:
        return text
    small, large = results.by_batch_size[0].size, results.by_batch_size[-1].size
    return f"{text}\nTime of an image in a batch of {large:,}, against one of {small:,}: {ratio:.2f}"


def _by_data_size(results: Results) -> str:
    rows = [(f"{point.size:,}", *_spread(point.seconds, ".2f")) for point in results.by_data_size]
    return format_table(("training images", "seconds\nmedian", "\nmin", "\nmax"), rows)


def _milliseconds(seconds: Spread) -> tuple[str, ...]:
    return tuple(f"{1e3 * value:,.1f}" for value in (seconds.median, seconds.least, seconds.most))


def _spread(values: Spread, form: str) -> tuple[str, ...]:
    return tuple(format(value, form) for value in (values.median, values.least, values.most))


def format_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Format a table as plain text: the first column left-aligned, the others right-aligned.

    Headings may have several lines; without headings only the rows are formatted.
    """
    table = Table(box=None, pad_edge=False, show_header=bool(headings))
    for column, heading in enumerate(headings or rows[0]):
        table.add_column(Text(heading), justify="right" if column else "left", no_wrap=True)
    for row in rows:
        table.add_row(*map(Text, row))
    # plain text, whatever the environment says about colours
    console = Console(file=StringIO(), width=TABLE_WIDTH, color_system=None)
    with console.capture() as capture:
        console.print(table)
    return "\n".join(line.rstrip() for line in capture.get().splitlines())
