"""Which rank is reported when a process of a run is lost. Whole runs: test_parallelize.py."""

import subprocess
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from torch.distributed import DistError

from alexnet.distributed import rank_monitor
from alexnet.distributed.rank_monitor import RankMonitor

GLOO = RuntimeError(
    "[third_party/gloo/gloo/transport/tcp/pair.cc:561] Connection closed by peer [127.0.0.1]:1"
)


@pytest.fixture
def processes() -> Iterator[list[subprocess.Popen[bytes]]]:
    """Two that would run for a minute."""
    started = [subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) for _ in range(2)]
    yield started
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture
def first(processes: list[subprocess.Popen[bytes]], monkeypatch: pytest.MonkeyPatch) -> Iterator[RankMonitor]:
    """The monitor of the first of three processes, in training."""
    monkeypatch.setattr(rank_monitor, "PATIENCE_SECONDS", 0.3)
    strategy = SimpleNamespace(
        cluster_environment=LightningEnvironment(), launcher=SimpleNamespace(procs=processes)
    )
    trainer: Any = SimpleNamespace(world_size=3, local_rank=0, strategy=strategy)
    monitor = RankMonitor()
    monitor.setup(trainer, SimpleNamespace(), "fit")  # type: ignore[arg-type]
    yield monitor
    monitor.teardown(trainer, SimpleNamespace(), "fit")  # type: ignore[arg-type]


def test_names_the_one_that_was_killed(first: RankMonitor) -> None:
    second = first._others[1]
    second.kill()
    assert first.explain(GLOO) == "Rank 2 of 3 was killed by SIGKILL, perhaps for lack of memory"
    assert first._others[0].wait(5) != 0  # it could only have waited


def test_other_problems_are_not_explained(first: RankMonitor) -> None:
    """Also where the other ranks have ended with the same problem."""
    for process in first._others:
        process.terminate()
    assert first.explain(RuntimeError("out of memory")) is None
    assert first.explain(ValueError("gloo")) is None
    assert first.explain(KeyboardInterrupt()) is None


def test_a_rank_of_another_machine(first: RankMonitor) -> None:
    assert first.explain(DistError("timed out")) == "Another rank is gone"


def test_a_single_process_loses_no_rank() -> None:
    assert RankMonitor().explain(GLOO) is None
