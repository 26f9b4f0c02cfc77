"""Lightning's arguments from the configuration of trainer and strategy."""

import os
from typing import Any

import torch
from lightning.fabric.plugins import ClusterEnvironment
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.fabric.plugins.environments.lsf import LSFEnvironment
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from lightning.pytorch.plugins import DoublePrecision
from lightning.pytorch.strategies import ModelParallelStrategy
from lightning.pytorch.strategies import Strategy as LightningStrategy

from alexnet.config import Strategy, StrategyConfig, TrainerConfig
from alexnet.errors import UserError
from alexnet.hardware import resolve_accelerator, resolve_precision
from alexnet.training.checkpoint_plugin import AtomicCheckpointIO

PROCESSES_PER_CORE = 4  # on the CPU; more only slow each other down


def check_devices(trainer: TrainerConfig, strategy: StrategyConfig, columns: int, batch_size: int) -> None:
    """Raise `UserError` for devices that do not exist, or that network or batch cannot be divided over."""
    accelerator = resolve_accelerator(trainer.accelerator)
    cores = os.cpu_count() or 1
    most, what = {
        "gpu": (torch.cuda.device_count(), "GPUs"),
        "mps": (1, "MPS device"),
        "cpu": (PROCESSES_PER_CORE * cores, f"processes, {PROCESSES_PER_CORE} for each CPU core"),
    }[accelerator]
    if trainer.devices > most:
        raise UserError(
            f"trainer.devices={trainer.devices}: more than this machine's {most} {what}."
            f" Choose trainer.devices from 1 to {most}."
        )
    total = trainer.devices * trainer.num_nodes
    if strategy.name is Strategy.single and total > 1:
        raise UserError(f"strategy=single: runs on one device, not on {total}. Choose strategy=ddp.")
    if trainer.precision == "64-true" and accelerator == "mps":
        raise UserError(
            "trainer.precision=64-true: Apple's GPUs have no float64."
            " Choose 32-true, or trainer.accelerator=cpu."
        )
    copies = copies_of_network(trainer, strategy)
    if strategy.name is Strategy.model_parallel:
        _check_columns(columns, copies, total)
    divided = strategy.name in (Strategy.fsdp, Strategy.model_parallel)
    if divided and trainer.precision == "16-mixed":  # its loss scaling does not work on divided gradients
        raise UserError(
            f"trainer.precision=16-mixed: not supported by strategy={strategy.name.value}. Choose bf16-mixed."
        )
    if batch_size % copies:
        raise UserError(
            f"data.batch_size={batch_size}: the global batch does not divide evenly over {copies}"
            f" {'devices' if copies == total else 'copies of the network'}."
        )


def copies_of_network(trainer: TrainerConfig, strategy: StrategyConfig) -> int:
    """Return the number of copies of the network, over which the global batch is divided."""
    return strategy.copies(trainer.devices * trainer.num_nodes)


def _check_columns(columns: int, copies: int, devices: int) -> None:
    if columns == 1:
        raise UserError(
            "strategy=model_parallel: each device holds a column, and the network has only one."
            " Add model.columns=2 (AlexNet's family only)."
        )
    if devices != columns * copies:
        raise UserError(
            f"strategy=model_parallel: strategy.data_parallel_size={copies} and {columns} columns need"
            f" trainer.devices={columns * copies}, not {devices}."
        )


def workers_per_device(workers: int | None, trainer: TrainerConfig) -> int:
    """Return how many threads read images for one device: as configured, or by the number of cores.

    On the CPU the network itself needs the cores, and one thread keeps up with it.
    """
    if workers is not None:
        return workers
    if resolve_accelerator(trainer.accelerator) == "cpu":
        return 1
    return max(1, min(16, (os.cpu_count() or 1) // trainer.devices))


def trainer_arguments(trainer: TrainerConfig, strategy: StrategyConfig) -> dict[str, Any]:
    """Return the keyword arguments of Lightning's Trainer that come from the configuration.

    max_time is left out: Lightning would validate first, and report the run as completed.
    """
    return {
        "accelerator": resolve_accelerator(trainer.accelerator),
        "devices": trainer.devices,
        "num_nodes": trainer.num_nodes,
        "strategy": _lightning_strategy(trainer, strategy),
        **_precision(resolve_precision(trainer)),
        "max_epochs": trainer.max_epochs,
        "check_val_every_n_epoch": trainer.check_val_every_n_epoch,
        "limit_train_batches": trainer.limit_train_batches,
        "limit_val_batches": trainer.limit_val_batches,
        "log_every_n_steps": trainer.log_every_n_steps,
        "gradient_clip_val": trainer.gradient_clip_val,
        "gradient_clip_algorithm": trainer.gradient_clip_algorithm,
        "deterministic": trainer.deterministic,
        "benchmark": trainer.benchmark,
    }


def _cluster_environment() -> ClusterEnvironment:
    """Return what has started the processes; found out as Lightning does, but for two things.

    Slurm's requeueing is not Lightning's, and MPI is not asked: Lightning would start it wherever mpi4py is
    installed, and MPI ends the process on a machine that lacks ssh, say.
    """
    if TorchElasticEnvironment.detect():  # torchrun, perhaps within a Slurm job
        return TorchElasticEnvironment()
    if SLURMEnvironment.detect():
        return SLURMEnvironment(auto_requeue=False)
    return LSFEnvironment() if LSFEnvironment.detect() else LightningEnvironment()


def _precision(precision: str) -> dict[str, Any]:
    plugins = [_cluster_environment(), AtomicCheckpointIO()]
    if precision == "64-true":  # as a plugin: Lightning refuses the name with ModelParallelStrategy
        return {"plugins": [*plugins, DoublePrecision()]}
    return {"precision": precision, "plugins": plugins}


def _lightning_strategy(trainer: TrainerConfig, strategy: StrategyConfig) -> str | LightningStrategy:
    devices = trainer.devices * trainer.num_nodes
    if strategy.name in (Strategy.fsdp, Strategy.model_parallel):
        copies = copies_of_network(trainer, strategy)
        return ModelParallelStrategy(copies, devices // copies, save_distributed_checkpoint=False)
    if strategy.name is Strategy.auto:
        return "ddp" if devices > 1 else "auto"
    return strategy.name.value if strategy.name is Strategy.ddp else "auto"
