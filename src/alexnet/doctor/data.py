"""Checks of the data: whether it exists, how much there is, and whether it decodes."""

import random
import time
from collections.abc import Iterator

import numpy as np
from scipy.stats import hypergeom

from alexnet.config import DataConfig
from alexnet.data.fetching import download_error, missing_download
from alexnet.data.loading import OpenData
from alexnet.data.locations import pack_folder, require_data, require_root
from alexnet.data.prefetch import prefetch_map
from alexnet.doctor.connectivity import REACH_SECONDS, check_reachable
from alexnet.doctor.report import Finding, failed, ok, warning
from alexnet.terminal import duration

SAMPLE = 200  # images
SAMPLE_SECONDS = 30.0  # after which the sample ends, however small it is
SIGNIFICANCE = 0.01  # how improbable a sample must be to reject the whole data set
SHOWN_FILES = 3  # unreadable images that are named


def needs_download(config: DataConfig) -> bool:
    """Return whether training would start with a download. Raises `UserError` if there is no data to get."""
    require_data(config)
    return not pack_folder(config).is_dir() and missing_download(config) is not None


def check_counts(config: DataConfig, data: OpenData) -> Iterator[Finding]:
    """Report how many images of how many classes there are, from where, and how many are unreadable."""
    message = (
        f"{config.name}: {len(data.train):,} training and {len(data.val):,} validation images of"
        f" {len(data.classes):,} classes, from {data.origin}"
    )
    yield ok("data", f"{message}{f'; {data.unreadable} set aside' if data.unreadable else ''}")


def check_sample(config: DataConfig, data: OpenData, workers: int) -> Iterator[Finding]:
    """Read a fixed sample of the images as training would, and judge the data set by it."""
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
    message = f"{count - len(unreadable)} of {count} images read, {rate:,.0f} images/s by {_threads(workers)}"
    if unreadable:
        yield _assess_unreadable(config, data, unreadable, count, message)
    elif data.unreadable is None:
        yield ok(
            "sample",
            f"{message}; the first training run decodes all once, about {duration(len(data) / rate)}",
        )
    else:
        yield ok("sample", message)


def _assess_unreadable(
    config: DataConfig, data: OpenData, unreadable: dict[str, str], count: int, message: str
) -> Finding:
    names = "; ".join(f"{path}: {reason}" for path, reason in list(unreadable.items())[:SHOWN_FILES])
    more = f"; and {len(unreadable) - SHOWN_FILES} more" if len(unreadable) > SHOWN_FILES else ""
    allowed = int(config.max_unreadable * len(data))
    limit = f"data.max_unreadable={config.max_unreadable:g}"
    # the probability of a sample as bad as this if as many images as allowed are unreadable
    if hypergeom.sf(len(unreadable) - 1, len(data), allowed, count) < SIGNIFICANCE:
        advice = f"Training would stop: more than {limit}. Repair or remove them, or allow more."
        return failed("sample", f"{message}. Unreadable: {names}{more}", advice)
    advice = f"They are excluded, and listed in the run's excluded_files.csv; training stops above {limit}."
    return warning("sample", f"{message}. Unreadable: {names}{more}", advice)


def check_download(config: DataConfig) -> Iterator[Finding]:
    """Check that the data set can be downloaded."""
    download = missing_download(config)
    assert download is not None
    root = require_root(config)
    try:
        check_reachable(download.url, REACH_SECONDS)
    except OSError as error:
        raise download_error(download.name, root, error) from error
    message = (
        f"{download.name} is not in {root}; training starts by downloading {download.bytes / 1e6:.0f} MB"
    )
    yield warning("data", message, "If there is a copy, give its folder: data.root=<folder>.")


def _threads(workers: int) -> str:
    return f"{max(1, workers)} thread{'s' if workers > 1 else ''}"
