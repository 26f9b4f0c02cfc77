"""The data: whether it is there, how much, and whether it decodes."""

import random
import time
from collections.abc import Iterator

import numpy as np
from scipy.stats import hypergeom

from alexnet.config import DataConfig
from alexnet.data.loader import prefetch_map
from alexnet.data.loading import OpenData
from alexnet.data.locations import pack_folder, require_data, require_root
from alexnet.data.sources import DOWNLOADS, download_error, missing_download
from alexnet.doctor.connectivity import check_reachable
from alexnet.doctor.report import Finding, failed, ok, warning
from alexnet.terminal import duration

SAMPLE = 200  # images
SAMPLE_SECONDS = 30.0  # less of them where they take longer
REACH_SECONDS = 5.0
CONVINCING = 0.01  # how improbable a sample must be before it speaks against the whole
NAMED = 3  # unreadable images


def must_be_fetched(config: DataConfig) -> bool:
    """Whether training would begin with a download. Raises `UserError` where there is nothing to train on."""
    require_data(config)
    return not pack_folder(config).is_dir() and missing_download(config) is not None


def check_counts(config: DataConfig, data: OpenData) -> Iterator[Finding]:
    """How many images of how many classes, from where, and what is known of their state."""
    seen = (
        f"{config.name}: {len(data.train):,} training and {len(data.val):,} validation images of"
        f" {len(data.classes):,} classes, from {data.origin}"
    )
    yield ok("data", f"{seen}{f'; {data.unreadable} set aside' if data.unreadable else ''}")


def check_sample(config: DataConfig, data: OpenData, workers: int) -> Iterator[Finding]:
    """Read some images, always the same, as training would; judge the whole by them."""
    rows = random.Random(0).sample(range(len(data)), min(SAMPLE, len(data)))
    first_of_val = len(data.train)

    def read(row: int) -> None:
        out = np.empty((3, config.resize_size, config.resize_size), np.uint8)
        images, index = (data.train, row) if row < first_of_val else (data.val, row - first_of_val)
        images.read(index, out)

    began, count = time.perf_counter(), 0
    for _ in prefetch_map(read, rows, workers, ahead=2 * workers):
        count += 1
        if time.perf_counter() - began > SAMPLE_SECONDS:
            break
    rate = count / (time.perf_counter() - began)
    unreadable = data.train.unreadable | data.val.unreadable
    seen = f"{count - len(unreadable)} of {count} images read, {rate:,.0f} images/s by {_threads(workers)}"
    if unreadable:
        yield _judge(config, data, unreadable, count, seen)
    elif data.unreadable is None:
        yield ok("sample", f"{seen}; the first training decodes all once, about {duration(len(data) / rate)}")
    else:
        yield ok("sample", seen)


def _judge(config: DataConfig, data: OpenData, unreadable: dict[str, str], count: int, seen: str) -> Finding:
    names = "; ".join(f"{path}: {reason}" for path, reason in list(unreadable.items())[:NAMED])
    more = f"; and {len(unreadable) - NAMED} more" if len(unreadable) > NAMED else ""
    allowed = int(config.max_unreadable * len(data))
    limit = f"data.max_unreadable={config.max_unreadable:g}"
    # how probable a sample as bad as this is where as many as are allowed cannot be read
    if hypergeom.sf(len(unreadable) - 1, len(data), allowed, count) < CONVINCING:
        advice = f"Training would stop: more than {limit}. Mend or remove them, or allow more."
        return failed("sample", f"{seen}. Not {names}{more}", advice)
    advice = f"They are left out, and named in the run's excluded_files.csv; training stops above {limit}."
    return warning("sample", f"{seen}. Not {names}{more}", advice)


def check_download(config: DataConfig) -> Iterator[Finding]:
    """Whether what has to be fetched can be."""
    download = DOWNLOADS[config.source]
    root = require_root(config)
    try:
        check_reachable(download.url, REACH_SECONDS)
    except OSError as error:
        raise download_error(download.name, root, error) from error
    seen = (
        f"{download.name} is not in {root}; training begins with fetching it, {download.bytes / 1e6:.0f} MB"
    )
    yield warning("data", seen, "Or give the folder of a copy: data.root=<folder>.")


def _threads(workers: int) -> str:
    return f"{max(1, workers)} thread{'s' if workers > 1 else ''}"
