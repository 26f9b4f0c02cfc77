"""A new process for each measurement, so that none finds a warm cache."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context
from tempfile import TemporaryDirectory
from typing import ParamSpec, Protocol, TypeVar

from alexnet.errors import UserError, explain_failure
from alexnet.runs.log import log_to_terminal

Given = ParamSpec("Given")
Result = TypeVar("Result")
LOADED = ["torch", "lightning", "hydra", "torchvision"]  # once, before the processes fork off


class InAProcess(Protocol):
    """Calls a function of a module in a new process, and returns what it returns."""

    def __call__(
        self, function: Callable[Given, Result], *arguments: Given.args, **named: Given.kwargs
    ) -> Result: ...


@contextmanager
def new_processes() -> Iterator[InAProcess]:
    """Yields what calls functions in new processes, one after the other.

    What the first one compiles the others find in a cache that is theirs alone, and that is empty at
    first. Raises `UserError` for want of memory.
    """
    context = get_context("forkserver")
    context.set_forkserver_preload(LOADED)
    with TemporaryDirectory() as cache:

        def call(function: Callable[Given, Result], *arguments: Given.args, **named: Given.kwargs) -> Result:
            with ProcessPoolExecutor(1, context, _init_worker, (cache,)) as pool:
                try:
                    return pool.submit(function, *arguments, **named).result()
                except BrokenProcessPool as problem:
                    raise UserError(
                        "A process that measures was killed, likely for its memory. What takes less: a"
                        " smaller data.batch_size, scaling.batch_sizes or model.width."
                    ) from problem
                except Exception as problem:
                    if told := explain_failure(problem):
                        raise UserError(told) from problem
                    raise

        yield call


def _init_worker(cache: str) -> None:
    signal.signal(signal.SIGINT, lambda *_: sys.exit(1))  # without a stack trace, but in good order
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = cache
    log_to_terminal(quiet=True)  # libraries would talk
