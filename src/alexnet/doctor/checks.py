"""Checks that need torch, in order."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import torch
from torch import nn

from alexnet.config import Accelerator, TrainConfig
from alexnet.data.datamodule import check_crop
from alexnet.data.loading import OpenData, open_data
from alexnet.doctor.capacity import (
    ResourceEstimate,
    check_checkpoint,
    check_disk_space,
    check_memory,
    check_write_speed,
    estimate_disk_use,
    estimate_resources,
    scratch_folder,
)
from alexnet.doctor.connectivity import check_tracking
from alexnet.doctor.data import (
    check_counts,
    check_download,
    check_sample,
    needs_download,
)
from alexnet.doctor.distributed import check_distributed
from alexnet.doctor.hardware import (
    check_compiler,
    check_machine,
    check_product,
    check_unused_gpus,
    inspect_machine,
    list_devices,
)
from alexnet.doctor.report import Finding, Report, ok
from alexnet.hardware import resolve_accelerator
from alexnet.models.base import ImageClassifier
from alexnet.models.build import build_network
from alexnet.runs.results import count_parameters
from alexnet.sweeps.slots import visible_gpus
from alexnet.training.compile import resolve_compile
from alexnet.training.trainer_args import check_devices, copies_of_network, workers_per_device

UNKNOWN_CLASSES = 1000  # assumed while the data is missing: ImageNet's


def run_torch_checks(config: TrainConfig, report: Report) -> None:
    """Check that this machine can do what the configuration asks for."""
    memory = None
    if (machine := report.attempt("machine", inspect_machine)) is not None:
        report.check("machine", lambda: check_machine(machine))
        memory = machine.memory
    devices_available = _check_devices(config, report)
    download = report.attempt("data", lambda: needs_download(config.data))
    data = None
    if download:
        report.check("data", lambda: check_download(config.data))
    elif download is not None:
        data = _check_data(config, report)
    classes = data.classes if data else None
    if (network := report.attempt("network", lambda: _build(config, classes))) is not None:
        report.check("network", lambda: _describe_network(config, network, classes))
        estimate = estimate_resources(config, network)
        if devices_available:
            report.check("memory", lambda: _check_memory(config, estimate, memory))
        images = len(data) if data else 0
        report.check(
            "disk",
            lambda: check_disk_space(estimate_disk_use(config, estimate, images, download=bool(download))),
        )
        report.check("outputs", lambda: _check_outputs(config, estimate, network))
    if devices_available:
        report.check("distributed", lambda: _check_processes(config))
    report.check("W&B", lambda: check_tracking(config.logger))


def _check_devices(config: TrainConfig, report: Report) -> bool:
    """Test every device of this machine; return whether the devices that the run asks for are available."""
    available = report.check("devices", lambda: _check_requested_devices(config))
    accelerator = resolve_accelerator(config.trainer.accelerator if available else Accelerator.auto)
    if config.trainer.accelerator is Accelerator.auto:
        report.check("devices", lambda: check_unused_gpus(accelerator, visible_gpus("auto")))
    devices = list_devices(accelerator)
    for device in devices:
        report.check(str(device), partial(check_product, device))
    compiled = resolve_compile(config.performance, accelerator, config.strategy.name)
    report.check("compiler", lambda: check_compiler(config.performance, compiled, devices[0]))
    return available


def _check_requested_devices(config: TrainConfig) -> Iterator[Finding]:
    trainer, strategy = config.trainer, config.strategy
    check_devices(trainer, strategy, config.model.columns, config.data.batch_size)
    batch_size = config.data.batch_size // copies_of_network(trainer, strategy)
    nodes = f" on each of {trainer.num_nodes} nodes, this being one" if trainer.num_nodes > 1 else ""
    yield ok(
        "devices",
        f"{trainer.devices} requested, {resolve_accelerator(trainer.accelerator)}{nodes};"
        f" strategy={strategy.name.value}, {trainer.precision}, batches of {batch_size}",
    )


def _check_data(config: TrainConfig, report: Report) -> OpenData | None:
    workers = workers_per_device(config.data.workers, config.trainer)
    data = report.attempt("data", lambda: open_data(config.data, scan=False))
    if data is not None:
        report.check("data", lambda: check_counts(config.data, data))
        report.check("sample", lambda: check_sample(config.data, data, workers))
    return data


def _build(config: TrainConfig, classes: tuple[str, ...] | None) -> ImageClassifier:
    check_crop(config.model.image_size, config.data.resize_size)
    network = build_network(config.model, len(classes) if classes else UNKNOWN_CLASSES)
    return network.double() if config.trainer.precision == "64-true" else network


def _describe_network(
    config: TrainConfig, network: ImageClassifier, classes: tuple[str, ...] | None
) -> Iterator[Finding]:
    assumed = "" if classes else ", assumed while the data is missing"
    message = (
        f"{config.model.name}: {count_parameters(network):,} parameters, {network.classes:,} classes{assumed}"
    )
    yield ok("network", message)


def _check_memory(config: TrainConfig, estimate: ResourceEstimate, free: float | None) -> Iterator[Finding]:
    if resolve_accelerator(config.trainer.accelerator) == "gpu":
        free = min(torch.cuda.mem_get_info(index)[0] for index in range(config.trainer.devices))
        return check_memory(estimate, free, 1)
    return check_memory(estimate, free, config.trainer.devices)


def _check_outputs(config: TrainConfig, estimate: ResourceEstimate, network: nn.Module) -> Iterator[Finding]:
    """Write a file and a checkpoint where the run's folder would be."""
    parent = Path(config.run_folder).parent if config.run_folder else Path(config.outputs)
    with scratch_folder(parent) as scratch:
        yield from check_write_speed(scratch, estimate)
        yield from check_checkpoint(network, scratch)


def _check_processes(config: TrainConfig) -> Iterator[Finding]:
    accelerator = resolve_accelerator(config.trainer.accelerator)
    processes = torch.cuda.device_count() if accelerator == "gpu" else config.trainer.devices
    return check_distributed(processes, accelerator)
