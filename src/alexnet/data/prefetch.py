"""A function of many items, computed ahead by threads."""

import sys
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

# How long a thread that computes in Python may keep another one waiting. By Python's default, 5 ms, threads
# that decode images, each in a fraction of that, mostly wait for the one that launches a GPU's work.
SWITCH_SECONDS = 1e-4


def prefetch_map(
    function: Callable[[Item], Result], items: Iterable[Item], workers: int, ahead: int
) -> Generator[Result, None, None]:
    """Yield `function` of each item, in order, computed by `workers` threads up to `ahead` items ahead.

    With 0 workers each is computed on demand. (Executor.map would submit all items at once.) Threads of this
    process take turns more often from the first call with workers on, see `SWITCH_SECONDS`.
    """
    if workers == 0:
        yield from map(function, items)
        return
    sys.setswitchinterval(min(sys.getswitchinterval(), SWITCH_SECONDS))
    pool = ThreadPoolExecutor(workers)
    pending: deque[Future[Result]] = deque()
    try:
        for item in items:
            pending.append(pool.submit(function, item))
            if len(pending) > ahead:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
