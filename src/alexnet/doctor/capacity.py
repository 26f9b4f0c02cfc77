"""Checks of memory and disk: what a run needs, what is free, and whether writing works."""

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from alexnet.config import Strategy, TrainConfig
from alexnet.config.callbacks import CALLBACKS
from alexnet.data.fetching import missing_download
from alexnet.data.locations import require_root
from alexnet.doctor.report import Finding, failed, ok, warning
from alexnet.errors import UserError
from alexnet.runs.checkpoint_io import read_checkpoint, write_checkpoint
from alexnet.training.trainer_args import copies_of_network

BYTES_PER_WEIGHT = {"64-true": 8, "bf16-true": 2}  # 4 with every other precision


@dataclass(frozen=True)
class ResourceEstimate:
    """Bytes of the network's weights, and of the least that a device holds: activations come on top.

    `copies` is the number of tensors as large as the weights that the update rule and callbacks keep:
    velocities, averages.
    """

    weights: int
    memory: int
    copies: int = 1

    @property
    def last_checkpoint(self) -> int:
        """Bytes of last.ckpt: the weights, and what is kept beside them."""
        return (1 + self.copies) * self.weights

    @property
    def best_checkpoint(self) -> int:
        """Bytes of best.ckpt: weights only."""
        return self.weights


def estimate_resources(config: TrainConfig, network: nn.Module) -> ResourceEstimate:
    """Estimate what weights, gradients, the update rule's state and a batch of images take on each device.

    All but the images are divided over the devices where the strategy shards them.
    """
    item = BYTES_PER_WEIGHT.get(config.trainer.precision, 4)
    weights = item * sum(parameter.numel() for parameter in network.parameters())
    sharded = config.strategy.name in (Strategy.fsdp, Strategy.model_parallel)
    shards = config.trainer.devices * config.trainer.num_nodes if sharded else 1
    images = config.data.batch_size // copies_of_network(config.trainer, config.strategy)
    batch = images * 3 * config.model.image_size**2 * item
    callbacks = CALLBACKS.configs(config.callbacks).values()
    copies = config.optimizer.weight_copies + sum(callback.weight_copies for callback in callbacks)
    return ResourceEstimate(weights, (2 + copies) * weights // shards + batch, copies)


def check_memory(estimate: ResourceEstimate, free: float | None, processes: int) -> Iterator[Finding]:
    """Compare the estimate with the `free` bytes of memory that `processes` processes share.

    A process has a GPU's memory to itself. `free` is None if it is not known.
    """
    needed = estimate.memory * processes
    amount = f"{needed / 1e9:.2f} GB at least" + (f" for {processes} processes" if processes > 1 else "")
    message = f"{amount}: weights, gradients, the update rule and a batch of images"
    if free is None:
        yield ok("memory", f"{message}; free memory is not known here")
    elif needed > free:
        advice = (
            "Stop other programs on this device, or use less: data.batch_size, model.width, or more devices"
            " with strategy=fsdp."
        )
        yield failed("memory", f"{message}; only {free / 1e9:.2f} GB are free", advice)
    else:
        yield ok("memory", f"{message}; {free / 1e9:.1f} GB are free")


MARGIN = 100e6  # metrics, figures, W&B's records
CACHE_BYTES_PER_IMAGE = 200  # lists of files
SCAN_BYTES = 10e6  # mean image and colour statistics
TEST_BYTES = 64_000_000
SLOW_SECONDS = 30.0  # for a checkpoint, after every epoch


@dataclass(frozen=True)
class DiskUse:
    """Bytes that a run writes below `path`, the value of the configuration key `key`."""

    key: str
    path: Path
    bytes: float


def estimate_disk_use(
    config: TrainConfig, estimate: ResourceEstimate, images: int, *, download: bool
) -> list[DiskUse]:
    """Estimate what a run writes; with `download` the data, too."""
    kept = config.callbacks.checkpoint
    checkpoints = [estimate.last_checkpoint] * kept.last + [estimate.best_checkpoint] * kept.best
    # a new checkpoint is written before the old one is removed
    largest = max(checkpoints, default=0)
    uses = [
        DiskUse("outputs", Path(config.run_folder or config.outputs), sum(checkpoints) + largest + MARGIN),
        DiskUse("data.cache", Path(config.data.cache), CACHE_BYTES_PER_IMAGE * images + SCAN_BYTES),
    ]
    if download and (archive := missing_download(config.data)) is not None:
        uses.append(DiskUse("data.root", require_root(config.data), archive.on_disk))
    return uses


def free_bytes(folder: Path) -> float:
    """Return the free bytes of the filesystem of an existing folder."""
    return shutil.disk_usage(folder).free


def check_disk_space(uses: list[DiskUse], free: Callable[[Path], float] = free_bytes) -> Iterator[Finding]:
    """Compare what is needed with what is free, in a line for each filesystem."""
    by_filesystem: dict[int, list[DiskUse]] = {}
    for use in uses:
        by_filesystem.setdefault(nearest_existing(use.path).stat().st_dev, []).append(use)
    for group in by_filesystem.values():
        needed, available = sum(use.bytes for use in group), free(nearest_existing(group[0].path))
        keys = " and ".join(use.key for use in group)
        message = f"{available / 1e9:.1f} GB free for {keys}, about {needed / 1e9:.1f} GB needed"
        if needed > available:
            overrides = ", ".join(f"{use.key}=<folder>" for use in group)
            advice = f"Free some space, or choose another disk: {overrides}."
            if group[0].key == "outputs":
                advice += " Or keep less: callbacks.checkpoint.last=false, callbacks.checkpoint.best=false."
            yield failed("disk", message, advice)
        else:
            yield ok("disk", message)


def check_write_speed(scratch: Path, estimate: ResourceEstimate) -> Iterator[Finding]:
    """Write a file through to the disk, and measure the rate."""
    block = os.urandom(1_000_000)  # not compressible
    began = time.perf_counter()
    try:
        with (scratch / "written").open("wb") as file:
            for _ in range(TEST_BYTES // len(block)):
                file.write(block)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise UserError(
            f"{scratch.parent}: {TEST_BYTES / 1e6:.0f} MB cannot be written ({error.strerror}). Free some"
            " space, or choose another disk: outputs=<folder>."
        ) from error
    yield assess_write_speed(TEST_BYTES / (time.perf_counter() - began), estimate)


def assess_write_speed(rate: float, estimate: ResourceEstimate) -> Finding:
    """Compare `rate`, in bytes a second, with what a run writes after every epoch."""
    seconds = estimate.last_checkpoint / rate
    measured = f"{TEST_BYTES / 1e6:.0f} MB written at {rate / 1e6:,.0f} MB/s"
    message = f"{measured}; last.ckpt takes {seconds:.1f} s an epoch"
    if seconds > SLOW_SECONDS:
        return warning("writing", message, "Choose a faster disk, perhaps a local one: outputs=<folder>.")
    return ok("writing", message)


def nearest_existing(path: Path) -> Path:
    """Return the folder itself, or its nearest parent that exists."""
    path = path.expanduser().absolute()
    return next(folder for folder in (path, *path.parents) if folder.exists())


@contextmanager
def scratch_folder(outputs: Path) -> Iterator[Path]:
    """Yield a new folder in `outputs`, which is made as a run would make it; both are removed afterwards.

    Raises `UserError` if a run could not make its folder.
    """
    outputs = outputs.expanduser().absolute()
    new = [folder for folder in (outputs, *outputs.parents) if not folder.exists()]
    try:
        outputs.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=".doctor-", dir=outputs))
    except OSError as error:
        raise UserError(
            f"outputs={outputs}: no folder can be made there ({error.strerror})."
            " Give another: outputs=<folder>."
        ) from error
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        for folder in new:
            with suppress(OSError):  # a run has started there in the meantime
                folder.rmdir()


def check_checkpoint(network: nn.Module, scratch: Path) -> Iterator[Finding]:
    """Check that the weights come back from the disk bit for bit as they were written."""
    path = scratch / "trial.ckpt"
    weights = network.state_dict()
    began = time.perf_counter()
    restored = round_trip(path, {"state_dict": weights})["state_dict"]
    seconds = time.perf_counter() - began
    size = path.stat().st_size
    path.unlink()
    if different := differing_tensors(weights, restored):
        message = (
            f"{', '.join(different[:3])}: not what was written ({len(different)} of {len(weights)} tensors)"
        )
        yield failed(
            "checkpoint",
            message,
            "Do not train here: check disk and memory, or give another outputs=<folder>.",
        )
    else:
        yield ok(
            "checkpoint", f"{size / 1e6:,.0f} MB written and read, the same bit for bit, in {seconds:.1f} s"
        )


def round_trip(path: Path, content: dict[str, Any]) -> dict[str, Any]:
    """Write a checkpoint and read it again, as a run does."""
    write_checkpoint(path, content)
    return read_checkpoint(path)


def differing_tensors(written: dict[str, Tensor], read: dict[str, Tensor]) -> list[str]:
    """Return the names of the tensors that are not identical bit for bit."""
    return [name for name in written if name not in read or not _bitwise_equal(written[name], read[name])]


def _bitwise_equal(one: Tensor, other: Tensor) -> bool:
    if (one.shape, one.dtype) != (other.shape, other.dtype):
        return False
    return torch.equal(*(tensor.flatten().view(torch.uint8) for tensor in (one, other)))
