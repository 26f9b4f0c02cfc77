"""The results as text."""

from collections.abc import Iterable, Sequence

from alexnet.benchmark.results import Point, Results, Spread
from alexnet.placement.traffic import byte_count

NOTES = (
    "ratio: images a second against stock modules in float32, round by round.",
    "of a product: arithmetic a second, as a share of what a product of two bfloat16 matrices reached beside"
    " it. Medians over the rounds, with the least and the most.",
    "first step: seconds, with whatever is compiled; new: nothing compiled before; again: from the cache on"
    " disk. Torchvision's network is a smaller one, without LRN, always of width 1.",
)


def tables(results: Results) -> str:
    """All that was measured; a part that was not is left out."""
    parts = [_programs(results), *NOTES]
    if results.parts:
        parts += ["", "Where a step of this program spends its time", *_parts(results)]
    if results.by_batch_size:
        parts += ["", "A step of this program by batch size", _by_batch_size(results)]
    if results.by_data_size:
        parts += ["", "Start-up by size of the data set, a pack to its first batch", _by_data_size(results)]
    return "\n".join(parts)


def _programs(results: Results) -> str:
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
            byte_count(each.peak_bytes),
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
