"""The checks that need torch, in order."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import torch
from torch import nn

from alexnet.config import Accelerator, TrainConfig
from alexnet.data.datamodule import check_crop
from alexnet.data.loading import OpenData, open_data
from alexnet.doctor.capacity import (
    Needs,
    check_checkpoint,
    check_memory,
    check_space,
    check_writing,
    needs_of,
    scratch_folder,
    space_of,
)
from alexnet.doctor.connectivity import check_tracking
from alexnet.doctor.data import check_counts, check_download, check_sample, must_be_fetched
from alexnet.doctor.distributed import check_distributed
from alexnet.doctor.hardware import (
    check_compiler,
    check_machine,
    check_product,
    check_unseen_gpus,
    devices_of,
    this_machine,
)
from alexnet.doctor.report import Finding, Report, ok
from alexnet.hardware import resolve_accelerator
from alexnet.models.base import ImageClassifier
from alexnet.models.build import build_network
from alexnet.runs.results import count_parameters
from alexnet.sweeps.queue import visible_gpus
from alexnet.training.compile import resolve_compile
from alexnet.training.trainer_args import check_devices, copies_of_network, workers_per_device

UNKNOWN_CLASSES = 1000  # as many as ImageNet has, where the data is not there


def run_torch_checks(config: TrainConfig, report: Report) -> None:
    """Whether this machine can do what the configuration asks for."""
    memory = None
    if (machine := report.attempt("machine", this_machine)) is not None:
        report.check("machine", lambda: check_machine(machine))
        memory = machine.memory
    there = _examine_devices(config, report)
    fetched = report.attempt("data", lambda: must_be_fetched(config.data))
    data = None
    if fetched:
        report.check("data", lambda: check_download(config.data))
    elif fetched is not None:
        data = _examine_data(config, report)
    classes = data.classes if data else None
    if (network := report.attempt("network", lambda: _build(config, classes))) is not None:
        report.check("network", lambda: _describe(config, network, classes))
        needs = needs_of(config, network)
        if there:
            report.check("memory", lambda: _memory(config, needs, memory))
        images = len(data) if data else 0
        report.check("disk", lambda: check_space(space_of(config, needs, images, bool(fetched))))
        report.check("outputs", lambda: _outputs(config, needs, network))
    if there:
        report.check("distributed", lambda: _distributed(config))
    report.check("W&B", lambda: check_tracking(config.logger))


def _examine_devices(config: TrainConfig, report: Report) -> bool:
    """Whether those are there that are asked for. All that there are calculate."""
    there = report.check("devices", lambda: _asked_for(config))
    accelerator = resolve_accelerator(config.trainer.accelerator if there else Accelerator.auto)
    if config.trainer.accelerator is Accelerator.auto:
        report.check("devices", lambda: check_unseen_gpus(accelerator, visible_gpus("auto")))
    devices = devices_of(accelerator)
    for device in devices:
        report.check(str(device), partial(check_product, device))
    compiled = resolve_compile(config.performance, accelerator, config.strategy.name)
    report.check("compiler", lambda: check_compiler(config.performance, compiled, devices[0]))
    return there


def _asked_for(config: TrainConfig) -> Iterator[Finding]:
    trainer, strategy = config.trainer, config.strategy
    check_devices(trainer, strategy, config.model.columns, config.data.batch_size)
    each = config.data.batch_size // copies_of_network(trainer, strategy)
    nodes = f" on each of {trainer.num_nodes} nodes, this being one" if trainer.num_nodes > 1 else ""
    yield ok(
        "devices",
        f"{trainer.devices} asked for, {resolve_accelerator(trainer.accelerator)}{nodes};"
        f" strategy={strategy.name.value}, {trainer.precision}, batches of {each}",
    )


def _examine_data(config: TrainConfig, report: Report) -> OpenData | None:
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


def _describe(
    config: TrainConfig, network: ImageClassifier, classes: tuple[str, ...] | None
) -> Iterator[Finding]:
    assumed = "" if classes else ", assumed while the data is not there"
    seen = (
        f"{config.model.name}: {count_parameters(network):,} parameters, {network.classes:,} classes{assumed}"
    )
    yield ok("network", seen)


def _memory(config: TrainConfig, needs: Needs, free: float | None) -> Iterator[Finding]:
    if resolve_accelerator(config.trainer.accelerator) == "gpu":
        free = min(torch.cuda.mem_get_info(index)[0] for index in range(config.trainer.devices))
        return check_memory(needs, free, 1)
    return check_memory(needs, free, config.trainer.devices)


def _outputs(config: TrainConfig, needs: Needs, network: nn.Module) -> Iterator[Finding]:
    """Where the run's folder would be: writing, and a checkpoint there and back."""
    parent = Path(config.run_folder).parent if config.run_folder else Path(config.outputs)
    with scratch_folder(parent) as scratch:
        yield from check_writing(scratch, needs)
        yield from check_checkpoint(network, scratch)


def _distributed(config: TrainConfig) -> Iterator[Finding]:
    accelerator = resolve_accelerator(config.trainer.accelerator)
    processes = torch.cuda.device_count() if accelerator == "gpu" else config.trainer.devices
    return check_distributed(processes, accelerator)
