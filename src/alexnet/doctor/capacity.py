"""Memory and disk: what a run needs, what there is, and whether writing works."""

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
from alexnet.data.locations import require_root
from alexnet.data.sources import DOWNLOADS
from alexnet.doctor.report import Finding, failed, ok, warning
from alexnet.errors import UserError
from alexnet.runs.checkpoint_io import read_checkpoint, write_checkpoint
from alexnet.training.trainer_args import copies_of_network

BYTES = {"64-true": 8, "bf16-true": 2}  # of a weight; 4 with every other precision


@dataclass(frozen=True)
class Needs:
    """Bytes. `memory` is what a device holds at least: activations come on top."""

    weights: int
    memory: int

    @property
    def last_checkpoint(self) -> int:
        """Weights and velocities."""
        return 2 * self.weights

    @property
    def best_checkpoint(self) -> int:
        """Weights alone."""
        return self.weights


def needs_of(config: TrainConfig, network: nn.Module) -> Needs:
    """Weights, gradients and velocities, divided where the strategy divides them, and a batch of images."""
    each = BYTES.get(config.trainer.precision, 4)
    weights = each * sum(parameter.numel() for parameter in network.parameters())
    divided = config.strategy.name in (Strategy.fsdp, Strategy.model_parallel)
    parts = config.trainer.devices * config.trainer.num_nodes if divided else 1
    images = config.data.batch_size // copies_of_network(config.trainer, config.strategy)
    batch = images * 3 * config.model.image_size**2 * each
    return Needs(weights, 3 * weights // parts + batch)


def check_memory(needs: Needs, free: float | None, processes: int) -> Iterator[Finding]:
    """`free` bytes of the memory that so many processes share; one has a GPU to itself."""
    held = needs.memory * processes
    what = f"{held / 1e9:.2f} GB at least" + (f" for {processes} processes" if processes > 1 else "")
    seen = f"{what}: weights, gradients, velocities and a batch of images"
    if free is None:
        yield ok("memory", f"{seen}; how much is free is not known here")
    elif held > free:
        advice = (
            "Stop what else runs there, or take less: data.batch_size, model.width, or more devices with"
            " strategy=fsdp."
        )
        yield failed("memory", f"{seen}; only {free / 1e9:.2f} GB are free", advice)
    else:
        yield ok("memory", f"{seen}; {free / 1e9:.1f} GB are free")


MARGIN = 100e6  # metrics, figures, W&B's records
CACHED_BYTES_AN_IMAGE = 200  # lists of files
SURVEY_BYTES = 10e6  # mean image and colours
TRIED_BYTES = 64_000_000
SLOW_SECONDS = 30.0  # for a checkpoint, after every epoch


@dataclass(frozen=True)
class Space:
    """Bytes that are to be written somewhere under `path`, the value of the key `key`."""

    key: str
    path: Path
    bytes: float


def space_of(config: TrainConfig, needs: Needs, images: int, fetched: bool) -> list[Space]:
    """What a run writes; with `fetched` the data, too."""
    kept = config.callbacks.checkpoint
    checkpoints = [needs.last_checkpoint] * kept.last + [needs.best_checkpoint] * kept.best
    # a new one is written before the old one goes
    largest = max(checkpoints, default=0)
    found = [
        Space("outputs", Path(config.run_folder or config.outputs), sum(checkpoints) + largest + MARGIN),
        Space("data.cache", Path(config.data.cache), CACHED_BYTES_AN_IMAGE * images + SURVEY_BYTES),
    ]
    if fetched:
        found.append(Space("data.root", require_root(config.data), DOWNLOADS[config.data.source].on_disk))
    return found


def free_bytes(folder: Path) -> float:
    """On the filesystem of a folder that exists."""
    return shutil.disk_usage(folder).free


def check_space(spaces: list[Space], free: Callable[[Path], float] = free_bytes) -> Iterator[Finding]:
    """A line for each filesystem: what is free and what is needed."""
    by_filesystem: dict[int, list[Space]] = {}
    for space in spaces:
        by_filesystem.setdefault(nearest_existing(space.path).stat().st_dev, []).append(space)
    for sharing in by_filesystem.values():
        needed, there = sum(space.bytes for space in sharing), free(nearest_existing(sharing[0].path))
        keys = " and ".join(space.key for space in sharing)
        seen = f"{there / 1e9:.1f} GB free for {keys}, about {needed / 1e9:.1f} GB needed"
        if needed > there:
            places = ", ".join(f"{space.key}=<folder>" for space in sharing)
            advice = f"Make room, or give another place: {places}."
            if sharing[0].key == "outputs":
                advice += " Or keep less: callbacks.checkpoint.last=false, callbacks.checkpoint.best=false."
            yield failed("disk", seen, advice)
        else:
            yield ok("disk", seen)


def check_writing(scratch: Path, needs: Needs) -> Iterator[Finding]:
    """Write a file to the disk itself, and take the time."""
    block = os.urandom(1_000_000)  # what cannot be compressed
    began = time.perf_counter()
    try:
        with (scratch / "written").open("wb") as file:
            for _ in range(TRIED_BYTES // len(block)):
                file.write(block)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise UserError(
            f"{scratch.parent}: {TRIED_BYTES / 1e6:.0f} MB cannot be written ({error.strerror}). Make room,"
            " or give another place: outputs=<folder>."
        ) from error
    yield judge_speed(TRIED_BYTES / (time.perf_counter() - began), needs)


def judge_speed(rate: float, needs: Needs) -> Finding:
    """`rate` in bytes a second, against what a run writes after every epoch."""
    seconds = needs.last_checkpoint / rate
    tried = f"{TRIED_BYTES / 1e6:.0f} MB written at {rate / 1e6:,.0f} MB/s"
    seen = f"{tried}; last.ckpt takes {seconds:.1f} s an epoch"
    if seconds > SLOW_SECONDS:
        return warning("writing", seen, "Give a faster disk, perhaps a local one: outputs=<folder>.")
    return ok("writing", seen)


def nearest_existing(path: Path) -> Path:
    """The folder itself, or the first above it that is there."""
    path = path.expanduser().absolute()
    return next(folder for folder in (path, *path.parents) if folder.exists())


@contextmanager
def scratch_folder(outputs: Path) -> Iterator[Path]:
    """A new folder in `outputs`, which is made as a run would make it; both are left as they were.

    Raises `UserError` where a run could not make its folder.
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
            with suppress(OSError):  # a run has begun there meanwhile
                folder.rmdir()


def check_checkpoint(network: nn.Module, scratch: Path) -> Iterator[Finding]:
    """Whether the weights come back from the disk as they were, bit for bit."""
    path = scratch / "trial.ckpt"
    weights = network.state_dict()
    began = time.perf_counter()
    back = write_and_read(path, {"state_dict": weights})["state_dict"]
    seconds = time.perf_counter() - began
    size = path.stat().st_size
    path.unlink()
    if different := differing(weights, back):
        seen = (
            f"{', '.join(different[:3])}: not what was written ({len(different)} of {len(weights)} tensors)"
        )
        yield failed(
            "checkpoint", seen, "Do not train here: check disk and memory, or give another outputs=<folder>."
        )
    else:
        yield ok(
            "checkpoint", f"{size / 1e6:,.0f} MB written and read, the same bit for bit, in {seconds:.1f} s"
        )


def write_and_read(path: Path, content: dict[str, Any]) -> dict[str, Any]:
    """Through a file, as a run does it."""
    write_checkpoint(path, content)
    return read_checkpoint(path)


def differing(written: dict[str, Tensor], read: dict[str, Tensor]) -> list[str]:
    """Names of the tensors that are not the same to the last bit."""
    return [name for name in written if name not in read or not _same_bits(written[name], read[name])]


def _same_bits(one: Tensor, other: Tensor) -> bool:
    if (one.shape, one.dtype) != (other.shape, other.dtype):
        return False
    return torch.equal(*(tensor.flatten().view(torch.uint8) for tensor in (one, other)))
