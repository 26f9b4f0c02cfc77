"""Benchmark of a training step, from configuration to report."""

from collections.abc import Callable
from typing import Any

import torch

from alexnet.benchmark.measure import Measurement, measure, timed_steps
from alexnet.benchmark.processes import RunInProcess, new_processes
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
    native_dtype,
)
from alexnet.config import BenchmarkConfig, Variant
from alexnet.data.datamodule import check_crop
from alexnet.hardware import cpu_model, resolve_precision
from alexnet.models.families.alexnet import AlexNetConfig
from alexnet.terminal import console, progress_bar

WHOLE_RUN = 86_400.0  # seconds: the time left is estimated from all measurements so far


def run_benchmark(config: BenchmarkConfig, resolved: dict[str, Any]) -> None:
    """Measure, print the tables, and write the report to a new folder under `config.outputs`.

    Raises `UserError` for what cannot be measured, before anything is written.
    """
    check_measurable(config)
    if config.scaling.data_sizes:
        check_crop(config.model.image_size, config.data.resize_size)
    variants = choose_variants(config)
    flops = {variant: flops_of_step(variant, config) for variant in variants}
    folder = new_folder(config.outputs)
    heading = describe_setup(config)
    console.print(heading, markup=False)
    try:
        results = _measure_all(config, heading, flops)
    except BaseException:
        folder.rmdir()  # still empty
        raise
    text = tables(results)
    console.print(text, markup=False)
    write_report(results, text, config, resolved, folder)
    console.print(f"\nReport    {folder}", markup=False)


def describe_setup(config: BenchmarkConfig) -> str:
    """Describe machine and configuration in a line, separated by a semicolon."""
    device, model = device_of(config), config.model
    assert isinstance(model, AlexNetConfig)
    name = torch.cuda.get_device_name() if device.type == "cuda" else cpu_model()
    threads = f", {_count(torch.get_num_threads(), 'thread')}" if device.type == "cpu" else ""
    return (
        f"{name}{threads}, torch {torch.__version__}; {model.name}, {_count(model.columns, 'column')}, width"
        f" {model.width:g}, batch {config.data.batch_size}, {resolve_precision(config.trainer)},"
        f" {_count(timed_steps(config), 'step')} in each of {_count(config.rounds, 'round')}"
    )


def _count(count: int, noun: str) -> str:
    return f"{count} {noun}{'s' if count > 1 else ''}"


def _measure_all(config: BenchmarkConfig, heading: str, flops: dict[Variant, float]) -> Results:
    scaling = config.scaling
    runs = config.rounds * (len(flops) + len(scaling.batch_sizes) + len(scaling.data_sizes))
    with new_processes() as run_in_process, progress_bar("Measuring", runs, period=WHOLE_RUN) as advance:
        rounds = _measure_variants(config, list(flops), run_in_process, advance)
        by_batch_size = measure_batch_sizes(config, run_in_process, advance)
        by_data_size = measure_data_sizes(config, run_in_process, advance)
    base, batch_size = rounds.get(BASE), config.data.batch_size
    variants = [
        VariantResult.of(variant.value, TITLES[variant], measurements, base, batch_size, flops[variant])
        for variant, measurements in rounds.items()
    ]
    parts = rounds[Variant.ours][-1].parts if Variant.ours in rounds else None
    dtype = str(native_dtype(config)).removeprefix("torch.")
    return Results(heading, dtype, variants, parts or {}, by_batch_size, by_data_size)


def _measure_variants(
    config: BenchmarkConfig,
    variants: list[Variant],
    run_in_process: RunInProcess,
    advance: Callable[[int], None],
) -> dict[Variant, list[Measurement]]:
    """Measure the variants in turns, so that a machine that slows down slows all of them."""
    measured: dict[Variant, list[Measurement]] = {variant: [] for variant in variants}
    for number in range(1, config.rounds + 1):
        for variant, measurements in measured.items():
            profiled = variant is Variant.ours and number == config.rounds
            measurements.append(run_in_process(measure, variant, config, profiled=profiled))
            advance(1)
    return measured
