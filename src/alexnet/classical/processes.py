"""Features in other processes: half of scikit-image's work on them holds the interpreter's lock."""

import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context, parent_process
from threading import Thread

import numpy as np
from numpy.typing import NDArray

from alexnet.classical.features import describe
from alexnet.config.classical import HandMadeConfig
from alexnet.errors import UserError

Describe = Callable[[NDArray[np.uint8], HandMadeConfig], NDArray[np.float32]]


@contextmanager
def describing(workers: int) -> Iterator[Describe]:
    """Yields `describe`, worked out by `workers` processes, to be called from any number of threads.

    Without workers it is worked out here. Raises `UserError` where a process has been killed.
    """
    if workers == 0:
        yield describe
        return
    # fork would copy the threads' locks, and what torch has begun
    pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_begin)

    def elsewhere(images: NDArray[np.uint8], config: HandMadeConfig) -> NDArray[np.float32]:
        try:
            return pool.submit(describe, images, config).result()
        except BrokenProcessPool as error:
            raise UserError(
                "A process that computes features was killed, perhaps for want of memory. Try fewer:"
                f" data.workers={max(0, workers // 2)}."
            ) from error

    try:
        yield elsewhere
    finally:
        pool.shutdown(cancel_futures=True)


def _begin() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes: the first one decides
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """However the first process ends, none of these outlives it."""
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
