"""Files and figures of a benchmark."""

import os
import platform
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import datetime
from functools import partial
from itertools import count
from pathlib import Path
from textwrap import fill
from typing import Any

import numpy as np
import torch
import yaml
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from alexnet.benchmark.results import Point, Results
from alexnet.benchmark.variants import TITLES, device_of
from alexnet.config import BenchmarkConfig, Variant
from alexnet.errors import UserError
from alexnet.files import atomic_write, write_json, write_text
from alexnet.hardware import cpu_model, resolve_precision
from alexnet.paths import absolute
from alexnet.plotting import CHART_WIDTH, LIGHT, Theme, render, tidy


def new_folder(outputs: str) -> Path:
    """Create <outputs>/benchmarks/<date>_<time>/, numbered if it exists. Raises `UserError` on failure."""
    path = absolute(outputs) / "benchmarks" / f"{datetime.now():%Y-%m-%d_%H-%M-%S}"
    folder = path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for number in count(2):
            try:
                folder.mkdir()
                break
            except FileExistsError:
                folder = path.with_name(f"{path.name}-{number}")
    except OSError as error:
        raise UserError(f"Cannot make {folder}: {error.strerror}. Choose another: outputs=...") from error
    return folder


def write_report(
    results: Results, text: str, config: BenchmarkConfig, resolved: dict[str, Any], folder: Path
) -> None:
    """Write result.json, config.yaml, table.txt and the figures."""
    # the key of earlier result files stays: programs
    fields = {"programs" if key == "variants" else key: value for key, value in asdict(results).items()}
    content = {
        "machine": _describe_machine(config),
        "precision": resolve_precision(config.trainer),
        **fields,
        "cost_of_an_image": results.cost_of_an_image(),
        "config": resolved,
    }
    figures: dict[str, Callable[[Results, Theme], Figure]] = {"rates": draw_rates}
    if results.parts:
        figures["profile"] = draw_profile
    if results.by_batch_size or results.by_data_size:
        figures["scaling"] = draw_scaling
    try:
        (folder / "figures").mkdir()
        write_json(folder / "result.json", content)
        write_text(folder / "config.yaml", yaml.safe_dump(resolved, sort_keys=False, allow_unicode=True))
        write_text(folder / "table.txt", f"{results.heading}\n\n{text}\n")
        for name, draw in figures.items():
            with atomic_write(folder / "figures" / f"{name}.png") as file:
                file.write(render(partial(draw, results), LIGHT, "png"))
    except OSError as error:
        raise UserError(f"Cannot write to {folder}: {error.strerror}.") from error


def _describe_machine(config: BenchmarkConfig) -> dict[str, Any]:
    device = device_of(config)
    return {
        "device": device.type,
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if device.type == "cuda" else None,
        "torch": torch.__version__,
        "cuda": torch.version.cuda if device.type == "cuda" else None,
        "python": platform.python_version(),
        "platform": platform.platform(),
    }


BAR_HEIGHT = 0.38  # inches
CHARACTERS_PER_INCH = 13  # of a title
AXIS_LENGTH = 1.5  # times the longest bar, so that a label fits beside it
# a legend above the axes, so that it is never on points
ABOVE: Any = {"loc": "lower left", "bbox_to_anchor": (0, 1), "ncols": 2, "frameon": False}
OURS = [variant.value for variant in (Variant.ours, Variant.ours_compiled, Variant.ours_plain)]


def draw_rates(results: Results, theme: Theme) -> Figure:
    """Draw the images a second of each variant: a bar to the median, a line from the least to the most."""
    variants = results.variants
    rates = [variant.images_per_second for variant in variants]
    figure, axes = _bars(
        [variant.title for variant in variants],
        [rate.median for rate in rates],
        [theme.measured if variant.name in OURS else theme.baseline for variant in variants],
        theme,
    )
    below = [rate.median - rate.least for rate in rates]
    above = [rate.most - rate.median for rate in rates]
    axes.errorbar(
        [rate.median for rate in rates],
        range(len(rates)),
        xerr=[below, above],
        fmt="none",
        ecolor=theme.text,
        elinewidth=1.2,
        capsize=3,
    )
    for row, variant in enumerate(variants):
        ratio = "" if variant.ratio is None else f"  {variant.ratio:.2f}x"
        rate = variant.images_per_second
        _label(axes, rate.most, row, f"{rate.median:,.1f}{ratio}")
    axes.set_xlim(0, AXIS_LENGTH * max(rate.most for rate in rates))
    compared = any(variant.ratio is not None for variant in variants)
    explanation = f"\nx: times as fast as {TITLES[Variant.stock_float32]}" if compared else ""
    axes.set_xlabel(f"images a second, training{explanation}")
    _title(figure, "How fast a training step is", results)
    return figure


def draw_profile(results: Results, theme: Theme) -> Figure:
    """Draw each part's share of a step's time."""
    shares = [100 * share for share in results.parts.values()]
    figure, axes = _bars(list(results.parts), shares, [theme.measured] * len(shares), theme)
    for row, share in enumerate(shares):
        _label(axes, share, row, f"{share:.1f}%")
    axes.set_xlim(0, 1.1 * max(shares))
    axes.set_xlabel("percent of a step's time")
    _title(figure, "Where a step of this program spends its time", results)
    return figure


def draw_scaling(results: Results, theme: Theme) -> Figure:
    """Draw a step's time over its batch size, and start-up over the size of the data set.

    Dashed lines show the ideal: proportional to the batch size, and independent of the data set.
    """
    panel_count = bool(results.by_batch_size) + bool(results.by_data_size)
    figure = Figure(figsize=(CHART_WIDTH, 0.6 + 2.9 * panel_count), layout="constrained")
    panels = iter(figure.subplots(panel_count, squeeze=False).flat)
    if results.by_batch_size:
        _draw_batches(next(panels), results.by_batch_size, theme)
    if results.by_data_size:
        _draw_startup(next(panels), results.by_data_size, theme)
    _title(figure, "Do costs grow as they should?", results)
    return figure


def _draw_batches(axes: Axes, points: Sequence[Point], theme: Theme) -> None:
    tidy(axes)
    sizes = np.array([point.size for point in points])
    medians = np.array([1e3 * point.seconds.median for point in points])
    slope = float(sizes @ medians / (sizes @ sizes))  # of the least-squares line through 0
    end = float(sizes[-1])
    axes.plot(
        [0, end], [0, slope * end], "--", color=theme.baseline, label=f"in proportion: {slope:.2f} ms/image"
    )
    _plot(axes, points, 1e3, theme)
    axes.set(xlabel="batch size (images)", ylabel="time of a step (ms)")
    axes.set_xlim(0, 1.06 * end)
    axes.set_ylim(0, 1.12 * 1e3 * max(point.seconds.most for point in points))
    axes.set_xticks(sizes)
    axes.legend(**ABOVE)


def _draw_startup(axes: Axes, points: Sequence[Point], theme: Theme) -> None:
    tidy(axes)
    first = points[0].seconds.median
    axes.axhline(first, linestyle="--", color=theme.baseline, label=f"flat: {first:.2f} s")
    _plot(axes, points, 1.0, theme)
    axes.set_xscale("log")
    sizes = [point.size for point in points]
    axes.set_xticks(sizes)
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda size, _: _format_count(size)))
    axes.set(xlabel="training images in the data set", ylabel="pack to first batch (s)")
    axes.set_ylim(0, 1.25 * max(point.seconds.most for point in points))
    axes.legend(**ABOVE)


def _plot(axes: Axes, points: Sequence[Point], scale: float, theme: Theme) -> None:
    medians = [scale * point.seconds.median for point in points]
    below = [scale * (point.seconds.median - point.seconds.least) for point in points]
    above = [scale * (point.seconds.most - point.seconds.median) for point in points]
    sizes = [point.size for point in points]
    axes.errorbar(
        sizes, medians, [below, above], fmt="o", color=theme.measured, capsize=3, label="median, min to max"
    )


def _bars(
    names: Sequence[str], values: Sequence[float], colors: Sequence[str], theme: Theme
) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(CHART_WIDTH, 1.3 + BAR_HEIGHT * len(names)), layout="constrained")
    axes = figure.subplots()
    tidy(axes)
    axes.grid(visible=False, axis="y")
    axes.barh(range(len(names)), values, height=0.62, color=colors)
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    return figure, axes


def _label(axes: Axes, end: float, row: int, text: str) -> None:
    axes.annotate(text, (end, row), (7, 0), textcoords="offset points", va="center_baseline")


def _title(figure: Figure, title: str, results: Results) -> None:
    width = round(CHARACTERS_PER_INCH * figure.get_figwidth())
    lines = [fill(part, width) for part in (title, *results.heading.split("; "))]
    figure.suptitle("\n".join(lines))


def _format_count(count: float) -> str:
    """Format a number of images: 1,000 or 1.28M."""
    return f"{count / 1e6:.3g}M" if count >= 1e6 else f"{count:,.0f}"
