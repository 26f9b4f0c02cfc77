"""Costs that should grow in proportion, or not at all: a step with its batch, start-up with the data set."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from alexnet.benchmark.measure import step_seconds
from alexnet.benchmark.processes import InAProcess
from alexnet.benchmark.results import Point, Spread
from alexnet.benchmark.startup import startup_seconds, write_empty_pack
from alexnet.config import BenchmarkConfig
from alexnet.errors import UserError


def measure_batch_sizes(
    config: BenchmarkConfig, in_a_process: InAProcess, advance: Callable[[int], None]
) -> list[Point]:
    """This program's step; the sizes take turns."""

    def seconds(size: int) -> float:
        return in_a_process(step_seconds, replace(config, data=replace(config.data, batch_size=size)))

    return _points(config.growth.batch_sizes, config.rounds, seconds, advance)


def measure_data_sizes(
    config: BenchmarkConfig, in_a_process: InAProcess, advance: Callable[[int], None]
) -> list[Point]:
    """Start-up; the sizes take turns. Raises `UserError` where the files cannot be made."""
    sizes = config.growth.data_sizes
    with TemporaryDirectory() as scratch:
        packs = {size: Path(scratch, str(size)) for size in sizes}
        try:
            for size, pack in packs.items():
                write_empty_pack(pack, size, config)
        except OSError as error:
            raise UserError(
                f"{scratch}: cannot hold a data set of {size:,} images ({error.strerror}). Give another place"
                " (TMPDIR=...), or leave this out: growth.data_sizes=[]"
            ) from error
        return _points(
            sizes, config.rounds, lambda size: in_a_process(startup_seconds, config, packs[size]), advance
        )


def _points(
    sizes: list[int], rounds: int, seconds: Callable[[int], float], advance: Callable[[int], None]
) -> list[Point]:
    found: dict[int, list[float]] = {size: [] for size in sizes}
    for _ in range(rounds):
        for size, each in found.items():
            each.append(seconds(size))
            advance(1)
    return [Point(size, Spread.of(each)) for size, each in found.items()]
