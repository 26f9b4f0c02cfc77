"""Each measurement has a process of its own, and a compiler's cache that is the benchmark's alone."""

import os

import pytest

from alexnet.benchmark.processes import new_processes
from alexnet.config import ScalingConfig
from alexnet.errors import UserError


def test_new_processes() -> None:
    with new_processes() as call:
        assert len({os.getpid(), call(os.getpid), call(os.getpid)}) == 3
        cache = call(os.getenv, "TORCHINDUCTOR_CACHE_DIR")
        assert cache == call(os.getenv, "TORCHINDUCTOR_CACHE_DIR")
        assert cache is not None
        assert os.listdir(cache) == []  # noqa: PTH208
        with pytest.raises(UserError, match="increasing numbers"):
            call(ScalingConfig, [2, 1], [])
        with pytest.raises(UserError, match="was killed, perhaps for lack of memory"):
            call(os._exit, 9)
    assert cache != os.getenv("TORCHINDUCTOR_CACHE_DIR")
    assert not os.path.exists(cache)  # noqa: PTH110
    with new_processes() as call:
        assert call(os.getenv, "TORCHINDUCTOR_CACHE_DIR") != cache
