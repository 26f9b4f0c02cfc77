"""The start of a distributed run: its processes wait for each other, for so long, and can be stopped."""

import logging
import os
import select
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from lightning import Callback, LightningModule, Trainer
from torch.distributed import DistError

from alexnet.distributed.rank_monitor import print_error
from alexnet.errors import UserError
from alexnet.parent import STARTER
from alexnet.terminal import duration

log = logging.getLogger(__name__)

POLL_SECONDS = 0.5
GRACE_SECONDS = 2  # for a handler of signals that does run
NOTICE_SECONDS = 30  # from one line about waiting to the next


class Rendezvous(Callback):
    """A callback that ends the start of a run where the other processes do not come.

    torch waits for them where no Python code runs, so that no handler of signals does either. A thread calls
    `on_failure` with the reason, after a signal or `timeout` seconds, and ends the process. `request_stop`
    records a signal and returns the reason in words.
    """

    def __init__(self, processes: int, timeout: float, request_stop: Callable[[int], str]) -> None:
        self.on_failure: Callable[[str], None] = print_error
        self._processes, self._timeout, self._request_stop = processes, timeout, request_stop
        self._met = threading.Event()
        self._address, self._starter = "", os.getpid()

    @contextmanager
    def watching(self, trainer: Trainer) -> Iterator[None]:
        """Watch the start of `trainer`. Raises `UserError` where the first process cannot be reached."""
        if self._processes == 1:
            yield
            return
        self._address = _look_up(trainer)
        self._starter = int(os.environ.setdefault(STARTER, str(os.getpid())))
        receiver, sender = socket.socketpair()
        sender.setblocking(False)
        before = signal.set_wakeup_fd(sender.fileno(), warn_on_full_buffer=False)
        thread = threading.Thread(target=self._watch, args=(receiver,), daemon=True)
        thread.start()
        try:
            yield
        except DistError as problem:
            if self._met.is_set():
                raise
            reason = str(problem).partition("\n")[0]
            raise UserError(
                f"{self._description()} cannot meet at {self._address} (MASTER_ADDR, MASTER_PORT): {reason}."
            ) from problem
        finally:
            self._met.set()
            signal.set_wakeup_fd(before)
            thread.join()
            receiver.close()
            sender.close()

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        self._met.set()  # Lightning has set up the process group before

    def _watch(self, signals: socket.socket) -> None:
        began, told = time.monotonic(), 0.0
        while not self._met.is_set():
            if select.select([signals], [], [], POLL_SECONDS)[0]:
                received = signals.recv(1)[0]
                if received in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
                    self._end(self._request_stop(received))
            waited = time.monotonic() - began
            if self._starter not in (os.getpid(), os.getppid()):
                os._exit(1)  # the process that started this one has ended
            if waited > self._timeout:
                self._end(
                    f"{self._description()} have not all connected to {self._address} within"
                    f" {duration(self._timeout)} (trainer.rendezvous_timeout)"
                )
            if waited - told > NOTICE_SECONDS:
                told = waited
                log.info(
                    f"Waiting   for {self._processes} processes at {self._address}: {duration(waited)}"
                    f" of at most {duration(self._timeout)}"
                )

    def _description(self) -> str:
        return f"The {self._processes} processes of the run"

    def _end(self, reason: str) -> None:
        if self._met.wait(GRACE_SECONDS):
            return
        self.on_failure(reason)
        os._exit(1)


def _look_up(trainer: Trainer) -> str:
    """Return host:port of the first process. Raises `UserError` for a host that has no address."""
    strategy: Any = trainer.strategy
    environment = strategy.cluster_environment
    host, port = environment.main_address, environment.main_port
    try:
        socket.getaddrinfo(host, port)
    except OSError as problem:
        raise UserError(
            f"{host}, the host of the first process, cannot be resolved ({problem.strerror or problem})."
            " Set MASTER_ADDR to a name or address that every node can reach."
        ) from problem
    return f"{host}:{port}"
