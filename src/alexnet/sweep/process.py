"""The process of a running job."""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from alexnet.sweep.job import Job

GUARD = Path(__file__).with_name("guard.py")
ALWAYS = {
    "PYTHONUNBUFFERED": "1",
    "SLURM_JOB_NAME": "interactive",  # or Lightning, in an allocation of Slurm, takes itself for srun's
}


class JobProcess:
    """A job in a session of its own; what it prints goes to the job's log."""

    def __init__(self, job: Job, environment: dict[str, str]) -> None:
        job.log.parent.mkdir(parents=True, exist_ok=True)
        with job.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", str(GUARD), *job.command],
                stdin=subprocess.PIPE,  # see guard.py
                stdout=log,
                stderr=subprocess.STDOUT,
                env=os.environ | ALWAYS | environment,
                start_new_session=True,
            )

    def status(self) -> int | None:
        """None while it runs; then its status as from a shell, and nothing of it is left."""
        status = self._process.poll()
        if status is None:
            return None
        self._signal(signal.SIGKILL)  # what it started and did not wait for
        assert self._process.stdin is not None
        self._process.stdin.close()
        return status if status >= 0 else 128 - status

    def interrupt(self) -> None:
        """As Ctrl-C does: the run writes down what it has and ends."""
        self._signal(signal.SIGINT)

    def kill(self) -> None:
        """End it at once, and wait until it has."""
        self._signal(signal.SIGKILL)
        self._process.wait()

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError, PermissionError):  # macOS: a group of none but the dead
            os.killpg(self._process.pid, number)
