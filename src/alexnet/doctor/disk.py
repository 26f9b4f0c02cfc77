"""The disks: is there room for what a run writes, may it be written, and how fast."""

import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from alexnet.config import TrainConfig
from alexnet.data.places import check_root
from alexnet.data.sources import DOWNLOADS
from alexnet.doctor.finding import Finding, failed, ok, warning
from alexnet.doctor.needs import Needs
from alexnet.doctor.scratch import nearest_existing
from alexnet.errors import UserError

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
        found.append(Space("data.root", check_root(config.data), DOWNLOADS[config.data.source].on_disk))
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
