"""A benchmark, from configuration to report."""

from collections.abc import Callable
from typing import Any

import torch

from alexnet.benchmark.measure import Measurement, measure
from alexnet.benchmark.processes import InAProcess, new_processes
from alexnet.benchmark.report import new_folder, write_report
from alexnet.benchmark.results import Results, VariantResult, tables
from alexnet.benchmark.scaling import measure_batch_sizes, measure_data_sizes
from alexnet.benchmark.variants import (
    BASE,
    TITLES,
    check_measurable,
    choose_variants,
    device_of,
    flops_of_step,
)
from alexnet.config import AlexNetConfig, BenchmarkConfig, Variant
from alexnet.data.datamodule import check_crop
from alexnet.hardware import cpu_model, resolve_precision
from alexnet.terminal import console, progress_bar

LONG = 86_400.0  # seconds: the time left is told from all that was measured so far


def run_benchmark(config: BenchmarkConfig, resolved: dict[str, Any]) -> None:
    """Measure, print the tables, and write everything to a new folder under `config.outputs`.

    Raises `UserError` for what cannot be measured, before anything is written.
    """
    check_measurable(config)
    if config.scaling.data_sizes:
        check_crop(config.model.image_size, config.data.resize_size)
    variants = choose_variants(config)
    flops = {program: flops_of_step(program, config) for program in variants}
    folder = new_folder(config.outputs)
    heading = describe(config)
    console.print(heading, markup=False)
    try:
        results = _measured(config, heading, flops)
    except BaseException:
        folder.rmdir()  # nothing is in it yet
        raise
    text = tables(results)
    console.print(text, markup=False)
    write_report(results, text, config, resolved, folder)
    console.print(f"\nReport    {folder}", markup=False)


def describe(config: BenchmarkConfig) -> str:
    """Machine and configuration, in a line, with a semicolon between them."""
    device, model = device_of(config), config.model
    assert isinstance(model, AlexNetConfig)
    name = torch.cuda.get_device_name() if device.type == "cuda" else cpu_model()
    cores = f", {_counted(torch.get_num_threads(), 'thread')}" if device.type == "cpu" else ""
    return (
        f"{name}{cores}, torch {torch.__version__}; {model.name}, {_counted(model.columns, 'column')}, width"
        f" {model.width:g}, batch {config.data.batch_size}, {resolve_precision(config.trainer)},"
        f" {_counted(config.steps, 'step')} in each of {_counted(config.rounds, 'round')}"
    )


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'s' if count > 1 else ''}"


def _measured(config: BenchmarkConfig, heading: str, flops: dict[Variant, float]) -> Results:
    scaling = config.scaling
    runs = config.rounds * (len(flops) + len(scaling.batch_sizes) + len(scaling.data_sizes))
    with new_processes() as in_a_process, progress_bar("Measuring", runs, period=LONG) as advance:
        rounds = _rounds(config, list(flops), in_a_process, advance)
        by_batch_size = measure_batch_sizes(config, in_a_process, advance)
        by_data_size = measure_data_sizes(config, in_a_process, advance)
    base, batch_size = rounds.get(BASE), config.data.batch_size
    programs = [
        VariantResult.of(program.value, TITLES[program], each, base, batch_size, flops[program])
        for program, each in rounds.items()
    ]
    parts = rounds[Variant.ours][-1].parts if Variant.ours in rounds else None
    return Results(heading, programs, parts or {}, by_batch_size, by_data_size)


def _rounds(
    config: BenchmarkConfig,
    variants: list[Variant],
    in_a_process: InAProcess,
    advance: Callable[[int], None],
) -> dict[Variant, list[Measurement]]:
    """The variants take turns, so that a machine that slows down slows all."""
    measured: dict[Variant, list[Measurement]] = {program: [] for program in variants}
    for number in range(1, config.rounds + 1):
        for program, each in measured.items():
            profiled = program is Variant.ours and number == config.rounds
            each.append(in_a_process(measure, program, config, profiled=profiled))
            advance(1)
    return measured
