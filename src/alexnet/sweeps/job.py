"""A run of a sweep: its folder and its process."""

import csv
import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alexnet.errors import UserError
from alexnet.runs.resume import is_unfinished

NO_REASON = "ended without a result, and without saying why"


@dataclass(frozen=True)
class Job:
    """A run that is to be: its folder is made by the run itself."""

    name: str
    folder: Path
    command: tuple[str, ...]
    config_hash: str
    devices: int = 1
    epochs: int = 1

    @property
    def log(self) -> Path:
        """What the run prints; beside its folder, which does not exist before the run."""
        return self.folder.with_name(f"{self.folder.name}.log")

    def result(self) -> dict[str, Any]:
        """Its result.json; empty where there is none."""
        try:
            content = json.loads((self.folder / "result.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return content if isinstance(content, dict) else {}

    def is_done(self) -> bool:
        """Whether it has been run to its end, with this very configuration."""
        result = self.result()
        return result.get("status") == "completed" and result.get("config_hash") == self.config_hash

    def objective(self) -> float | None:
        """The validation top-1 error of its last epoch, in percent."""
        return self.result().get("val", {}).get("top1_error")

    def last_epoch(self) -> dict[str, str]:
        """The last whole row of its metrics.csv; empty before the first epoch has ended."""
        try:
            text = (self.folder / "metrics.csv").read_text(encoding="utf-8")
        except OSError:
            return {}
        lines = text[: text.rfind("\n") + 1].splitlines()
        return next(csv.DictReader([lines[0], lines[-1]])) if len(lines) > 1 else {}

    def check_place(self) -> None:
        """Raise `UserError` where its folder holds the finished run of another configuration."""
        if self.result().get("status") == "completed" and not self.is_done():
            raise UserError(
                f"{self.folder} holds a finished run of another configuration. Move it away, or give"
                " this sweep a folder of its own: hydra.sweep.dir=..."
            )

    def set_aside(self) -> None:
        """Rename what a failed run left here to <folder>.failed-1 (-2, ...), its log beside it.

        One that was interrupted or killed stays: it goes on.
        """
        there = self.folder.exists() or self.log.exists()
        if not there or is_unfinished(self.folder, self.config_hash):
            return
        count = 1
        while True:
            aside = self.folder.with_name(f"{self.folder.name}.failed-{count}")
            log = aside.with_name(f"{aside.name}.log")
            if not aside.exists() and not log.exists():
                break
            count += 1
        for old, new in ((self.folder, aside), (self.log, log)):
            if old.exists():
                old.rename(new)

    def why_failed(self, status: int) -> str:
        """Why it came to nothing, in one line; `status` as from a shell: 128 + n is signal n."""
        result = self.result()
        if result.get("status") == "failed" and result.get("error"):
            return _first_line(str(result["error"]))
        if status > 128:
            name = signal.Signals(status - 128).name if status - 128 in set(signal.Signals) else status - 128
            memory = ", perhaps for want of memory" if name == "SIGKILL" else ""
            return f"killed by {name}{memory}"
        try:
            lines = [
                line.strip() for line in self.log.read_text(encoding="utf-8", errors="replace").splitlines()
            ]
        except OSError:
            lines = []
        said = [line for line in lines if line]
        return said[-1].removeprefix("Error: ") if said else f"{NO_REASON} (status {status})"


def _first_line(text: str) -> str:
    return text.strip().splitlines()[0] if text.strip() else NO_REASON


SUPERVISOR = Path(__file__).with_name("supervisor.py")
FIXED_ENVIRONMENT = {
    "PYTHONUNBUFFERED": "1",
    "SLURM_JOB_NAME": "interactive",  # or Lightning, in an allocation of Slurm, takes itself for srun's
}


class JobProcess:
    """A job in a session of its own; what it prints goes to the job's log."""

    def __init__(self, job: Job, environment: dict[str, str]) -> None:
        job.log.parent.mkdir(parents=True, exist_ok=True)
        with job.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", str(SUPERVISOR), *job.command],
                stdin=subprocess.PIPE,  # see supervisor.py
                stdout=log,
                stderr=subprocess.STDOUT,
                env=os.environ | FIXED_ENVIRONMENT | environment,
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
