"""Detection of lost processes, so that the others of a run end and report which one it was."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from lightning import Callback, LightningModule, Trainer
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from torch.distributed import DistError

POLL_SECONDS = 0.5
PATIENCE_SECONDS = 2  # a process closes its connections before its end can be observed
ORPHAN_SECONDS = 4  # the same for a process whose parent is gone, which has nothing to record
GRACE_SECONDS = 15  # for a process to end by itself: one that waits for a lost rank on a GPU never does


class RankMonitor(Callback):
    """A callback that watches the processes that this run started on this machine.

    The first process watches the others, and they watch it. A process that does not end by itself within
    `GRACE_SECONDS` after another was lost calls `on_rank_lost` with the reason, and exits. Processes of
    another launcher (torchrun, srun) are left to that launcher.
    """

    def __init__(self) -> None:
        self.on_rank_lost: Callable[[str], None] = print_error
        self._others: Sequence[subprocess.Popen[bytes]] = ()
        self._parent: int | None = None
        self._ranks = 1
        self._ended = threading.Event()

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        self._ranks = trainer.world_size
        strategy: Any = trainer.strategy
        if self._ranks == 1 or not isinstance(strategy.cluster_environment, LightningEnvironment):
            return
        if trainer.local_rank == 0:
            launcher = strategy.launcher
            # Lightning's own observer would kill this process before it can record the reason
            observed, launcher.procs = launcher.procs, list(launcher.procs)
            observed.clear()
            self._others = launcher.procs
        else:
            self._parent = os.getppid()
        threading.Thread(target=self._watch, daemon=True).start()

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        self._ended.set()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self._ended.set()

    def explain(self, problem: BaseException) -> str | None:
        """Say which process was lost if that caused `problem`; return None for other problems."""
        lost_connection = isinstance(problem, RuntimeError) and "gloo" in str(problem)
        if self._ranks == 1 or not (lost_connection or isinstance(problem, DistError)):
            return None
        deadline = time.monotonic() + PATIENCE_SECONDS
        while (reason := self._lost_rank()) is None and time.monotonic() < deadline:
            time.sleep(0.1)
        self._kill_others()
        return reason or "Another rank is gone"

    def _lost_rank(self) -> str | None:
        if self._parent is not None and os.getppid() != self._parent:
            return f"Rank 0 of {self._ranks} is gone"
        for rank, process in enumerate(self._others, start=1):
            status = process.poll()
            if status is not None and status < 0:
                memory = ", perhaps for lack of memory" if -status == signal.SIGKILL else ""
                return f"Rank {rank} of {self._ranks} was killed by {signal.Signals(-status).name}{memory}"
            if status:
                return f"Rank {rank} of {self._ranks} ended with status {status}"
        return None

    def _watch(self) -> None:
        while not self._ended.wait(POLL_SECONDS):
            reason = self._lost_rank()
            if reason is None or self._ended.wait(GRACE_SECONDS if self._parent is None else ORPHAN_SECONDS):
                continue
            self.on_rank_lost(reason)
            self._kill_others()
            os._exit(1)

    def _kill_others(self) -> None:
        for process in self._others:
            process.kill()


def print_error(reason: str) -> None:
    """Print an error to stderr, from any rank."""
    print(f"Error: {reason}.", file=sys.stderr, flush=True)
