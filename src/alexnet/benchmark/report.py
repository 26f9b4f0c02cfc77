"""The files and figures of a benchmark."""

import json
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
from alexnet.files import atomic_write
from alexnet.hardware import cpu_model, resolve_precision
from alexnet.paths import absolute
from alexnet.plotting import LIGHT, Theme, render, tidy


def new_folder(outputs: str) -> Path:
    """<outputs>/benchmarks/<date>_<time>/, never one that is there. Raises `UserError` where it cannot be."""
    wanted = absolute(outputs) / "benchmarks" / f"{datetime.now():%Y-%m-%d_%H-%M-%S}"
    folder = wanted
    try:
        wanted.parent.mkdir(parents=True, exist_ok=True)
        for number in count(2):
            try:
                folder.mkdir()
                break
            except FileExistsError:
                folder = wanted.with_name(f"{wanted.name}-{number}")
    except OSError as error:
        raise UserError(f"Cannot make {folder}: {error.strerror}. Give another: outputs=...") from error
    return folder


def write_report(
    results: Results, text: str, config: BenchmarkConfig, resolved: dict[str, Any], folder: Path
) -> None:
    """Write result.json, config.yaml, table.txt and the pictures."""
    everything = {
        "machine": _machine(config),
        "precision": resolve_precision(config.trainer),
        **asdict(results),
        "cost_of_an_image": results.cost_of_an_image(),
        "config": resolved,
    }
    files = {
        "result.json": json.dumps(everything, indent=2) + "\n",
        "config.yaml": yaml.safe_dump(resolved, sort_keys=False, allow_unicode=True),
        "table.txt": f"{results.heading}\n\n{text}\n",
    }
    drawings: dict[str, Callable[[Results, Theme], Figure]] = {"rates": draw_rates}
    if results.parts:
        drawings["profile"] = draw_profile
    if results.by_batch_size or results.by_data_size:
        drawings["scaling"] = draw_scaling
    try:
        (folder / "figures").mkdir()
        for name, content in files.items():
            with atomic_write(folder / name) as file:
                file.write(content.encode())
        for name, draw in drawings.items():
            with atomic_write(folder / "figures" / f"{name}.png") as file:
                file.write(render(partial(draw, results), LIGHT, "png"))
    except OSError as error:
        raise UserError(f"Cannot write to {folder}: {error.strerror}.") from error


def _machine(config: BenchmarkConfig) -> dict[str, Any]:
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


BAR = 0.38  # inches
WIDTH = 8.0  # inches
LETTERS = 13  # of a title, in an inch
ROOM = 1.3  # of the longest bar, for what stands beside it
OURS = [program.value for program in (Variant.ours, Variant.ours_compiled, Variant.ours_plain)]


def draw_rates(results: Results, theme: Theme) -> Figure:
    """Images a second of each program: a bar to the median, a line from the least to the most."""
    programs = results.programs
    rates = [each.images_per_second for each in programs]
    figure, axes = _bars(
        [each.title for each in programs],
        [rate.median for rate in rates],
        [theme.measured if each.name in OURS else theme.baseline for each in programs],
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
    for place, each in enumerate(programs):
        ratio = "" if each.ratio is None else f"  {each.ratio:.2f}x"
        _label(axes, each.images_per_second.most, place, f"{each.images_per_second.median:,.1f}{ratio}")
    axes.set_xlim(0, ROOM * max(rate.most for rate in rates))
    compared = any(each.ratio is not None for each in programs)
    beside = f"; x: times as fast as {TITLES[Variant.stock_float32]}" if compared else ""
    axes.set_xlabel(f"images a second, training{beside}")
    _title(figure, "How fast a training step is", results)
    return figure


def draw_profile(results: Results, theme: Theme) -> Figure:
    """Each part's share of a step's time."""
    shares = [100 * share for share in results.parts.values()]
    figure, axes = _bars(list(results.parts), shares, [theme.measured] * len(shares), theme)
    for place, share in enumerate(shares):
        _label(axes, share, place, f"{share:.1f}%")
    axes.set_xlim(0, 1.1 * max(shares))
    axes.set_xlabel("percent of a step's time")
    _title(figure, "Where a step of this program spends its time", results)
    return figure


def draw_scaling(results: Results, theme: Theme) -> Figure:
    """A step's time over its batch, beside a proportional line; start-up over the size of the data set."""
    shown = [bool(results.by_batch_size), bool(results.by_data_size)]
    figure = Figure(figsize=(4.6 * sum(shown), 4.0), layout="constrained")
    panels = iter(figure.subplots(1, sum(shown), squeeze=False).flat)
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
    slope = float(sizes @ medians / (sizes @ sizes))  # of the line through 0 that is nearest
    end = float(sizes[-1])
    axes.plot(
        [0, end], [0, slope * end], "--", color=theme.baseline, label=f"in proportion: {slope:.2f} ms/image"
    )
    _plot(axes, points, 1e3, theme)
    axes.set(xlabel="batch size (images)", ylabel="time of a step (ms)")
    axes.set_xlim(0, 1.06 * end)
    axes.set_ylim(0, 1.12 * 1e3 * max(point.seconds.most for point in points))
    axes.set_xticks(sizes)
    axes.legend(loc="upper left", frameon=False)


def _draw_startup(axes: Axes, points: Sequence[Point], theme: Theme) -> None:
    tidy(axes)
    first = points[0].seconds.median
    axes.axhline(first, linestyle="--", color=theme.baseline, label=f"flat: {first:.2f} s")
    _plot(axes, points, 1.0, theme)
    axes.set_xscale("log")
    sizes = [point.size for point in points]
    axes.set_xticks(sizes)
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda size, _: _short(size)))
    axes.set(xlabel="training images in the data set", ylabel="pack to first batch (s)")
    axes.set_ylim(0, 1.25 * max(point.seconds.most for point in points))
    axes.legend(loc="upper left", frameon=False)


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
    figure = Figure(figsize=(WIDTH, 1.3 + BAR * len(names)), layout="constrained")
    axes = figure.subplots()
    tidy(axes)
    axes.grid(visible=False, axis="y")
    axes.barh(range(len(names)), values, height=0.62, color=colors)
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    return figure, axes


def _label(axes: Axes, end: float, place: int, text: str) -> None:
    axes.annotate(text, (end, place), (7, 0), textcoords="offset points", va="center", fontsize=9)


def _title(figure: Figure, title: str, results: Results) -> None:
    width = round(LETTERS * figure.get_figwidth())
    lines = [fill(part, width) for part in (title, *results.heading.split("; "))]
    figure.suptitle("\n".join(lines), fontsize=9)


def _short(count: float) -> str:
    """1,000, 1.28 million."""
    return f"{count / 1e6:.3g}M" if count >= 1e6 else f"{count:,.0f}"
