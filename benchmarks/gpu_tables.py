"""The tables of benchmarks/gpu.py, in Markdown."""

import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from alexnet.benchmark.results import Spread

Result = dict[str, Any]


def spread(values: Sequence[float]) -> dict[str, float]:
    """Return median, least and greatest of the rounds."""
    return asdict(Spread.of(values))


def show(values: dict[str, float] | None, form: str) -> str:
    """Return a spread as text: the median, and the least and the most in brackets."""
    if values is None:
        return "-"
    return f"{values['median']:{form}} ({values['least']:{form}}-{values['most']:{form}})"


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return a table in Markdown."""
    lines = [headings, ["---"] * len(headings), *rows]
    return [f"| {' | '.join(line)} |" for line in lines]


def megabytes(result: Result) -> str:
    """Return the peak of the memory on a GPU as text."""
    peak = result.get("peak_memory_mb")
    return "-" if peak is None else f"{peak / 1e3:.1f} GB"


def machine_table(result: Result) -> list[str]:
    """Return the machine in a sentence."""
    rates = [
        f"{rate / 1e12:,.1f} TFLOP/s in {kind}" for kind, rate in result["product_flops_per_second"].items()
    ]
    return [
        f"{result['device']}; host {result['host']}; torch {result['torch']}, CUDA {result['cuda']}, cuDNN"
        f" {result['cudnn']}, Python {result['python']}; training in {result['precision']}. A matrix product:"
        f" {', '.join(rates)}; a copy: {result['copy_bytes_per_second'] / 1e9:,.0f} GB/s, read and written."
    ]


def steps_table(result: Result) -> list[str]:
    """Return the table of a step by batch size."""
    rows = [
        [
            size,
            show(row.get("images_per_second"), ",.0f"),
            show(row.get("share_of_product"), ".0%"),
            megabytes(row),
            f"{row['first_step_seconds']:.1f}",
        ]
        for size, row in result["batches"].items()
    ]
    lines = table(("batch", "images/s", "share of a product", "peak memory", "first step (s)"), rows)
    if size := result.get("out_of_memory_at"):
        lines += ["", f"Out of memory at a batch of {size}."]
    return [*lines, "", *parts_table(result["profile"])]


def parts_table(profile: Result) -> list[str]:
    """Return the table of where the time of a step goes."""
    if "failed" in profile:
        return [f"Not profiled: {profile['failed']}"]
    shares = [f"{100 * share:.1f}" for share in profile["parts"].values()]
    title = f"batch {profile['batch_size']}, {profile['kernels_milliseconds']:.2f} ms of kernels"
    return table((title, *profile["parts"]), [["percent", *shares]])


def compiled_table(result: Result) -> list[str]:
    """Return in a sentence what was compiled before it is measured."""
    failed = f", {result['not_compiled']} of which failed" if result["not_compiled"] else ""
    return [
        f"{result['networks']} networks{failed}, by {result['processes']} processes in"
        f" {result['seconds']:.0f} s. Their first steps below find them compiled."
    ]


def variants_table(result: Result) -> list[str]:
    """Return the table of variants of a step."""
    rows = [
        [
            name,
            row.get("failed") or row.get("skipped") or show(row.get("milliseconds"), ".2f"),
            show(row.get("ratio"), ".2f"),
            megabytes(row),
            f"{row['first_step_seconds']:.1f}" if "first_step_seconds" in row else "-",
        ]
        for name, row in result["variants"].items()
    ]
    headings = (
        f"batch {result['batch_size']}",
        "ms a step",
        "times as fast",
        "peak memory",
        "first step (s)",
    )
    return table(headings, rows)


def augmentation_table(result: Result) -> list[str]:
    """Return the table of the augmentation."""
    rows = [
        [name, show(row["images_per_second"], ",.0f"), megabytes(row)]
        for name, row in result["variants"].items()
    ]
    return table((f"batch {result['batch_size']}", "images/s", "peak memory"), rows)


def training_table(result: Result) -> list[str]:
    """Return the table of training from each source."""
    rows = [
        [size, name, show(row["images_per_second"], ",.0f"), show(row["share_of_network"], ".1%")]
        for size, ways in result.items()
        for name, row in ways.items()
    ]
    return table(("batch", "images from", "images/s", "share of the network's"), rows)
