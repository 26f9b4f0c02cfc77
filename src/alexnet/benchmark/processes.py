"""New processes for measurements, so that none starts with a warm cache."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import active_children, get_context
from tempfile import TemporaryDirectory
from typing import ParamSpec, Protocol, TypeVar

from alexnet.errors import UserError, explain_failure
from alexnet.parent import exit_with_parent
from alexnet.runs.log import log_to_terminal

Params = ParamSpec("Params")
Result = TypeVar("Result")
PRELOADED = ["torch", "lightning", "hydra", "torchvision"]  # once, before the processes are forked


class RunInProcess(Protocol):
    """Function that calls a module's function in a new process, and returns what it returns."""

    def __call__(
        self, function: Callable[Params, Result], *args: Params.args, **kwargs: Params.kwargs
    ) -> Result: ...


@contextmanager
def new_processes() -> Iterator[RunInProcess]:
    """Yield a function that calls others in new processes, one at a time.

    The processes share a compiler cache, which is empty at first and used by nobody else. `UserError` is
    raised if memory runs out.
    """
    context = get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    with TemporaryDirectory() as cache:

        def call(function: Callable[Params, Result], *args: Params.args, **kwargs: Params.kwargs) -> Result:
            with ProcessPoolExecutor(1, context, _init_worker, (cache,)) as pool:
                try:
                    return pool.submit(function, *args, **kwargs).result()
                except BrokenProcessPool as error:
                    raise UserError(
                        "A measuring process was killed, perhaps for lack of memory. Try a"
                        " smaller data.batch_size, scaling.batch_sizes or model.width."
                    ) from error
                except KeyboardInterrupt:
                    for process in active_children():  # or the pool would wait for the measurement to end
                        process.kill()
                    raise
                except Exception as error:
                    if explanation := explain_failure(error):
                        raise UserError(explanation) from error
                    raise

        yield call


def _init_worker(cache: str) -> None:
    exit_with_parent()
    signal.signal(signal.SIGINT, lambda *_: sys.exit(1))  # ends cleanly, without a stack trace
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = cache
    log_to_terminal(quiet=True)  # without the messages of libraries
