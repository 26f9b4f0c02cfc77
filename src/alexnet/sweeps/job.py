"""Jobs of a sweep: the folder of each run and its process."""

import csv
import os
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alexnet.config.hashing import UNHASHED_KEYS, flatten, is_under
from alexnet.errors import DivergedError, UserError, first_line
from alexnet.files import read_json
from alexnet.runs.load import LAUNCHER
from alexnet.runs.resume import is_unfinished, read_run_config

NO_REASON = "ended without a result or an error message"


def read_result(folder: Path) -> dict[str, Any]:
    """Return the content of a run's result.json, empty if there is none."""
    return read_json(folder / "result.json")


@dataclass(frozen=True)
class Job:
    """A run of a sweep. Its folder is created by the run itself.

    With `accepts_divergence`, as in a search, a run that has diverged is done: its outcome is a bad one.
    """

    name: str
    folder: Path
    command: tuple[str, ...]
    config_hash: str
    devices: int = 1
    epochs: int = 1
    accepts_divergence: bool = False

    @property
    def log(self) -> Path:
        """Log of the run's output: beside its folder, which does not exist before the run."""
        return self.folder.with_name(f"{self.folder.name}.log")

    def result(self) -> dict[str, Any]:
        """Return the content of its result.json, empty if there is none."""
        return read_result(self.folder)

    def is_done(self) -> bool:
        """Return whether it has been completed, or has diverged and may, with exactly this configuration."""
        if self.accepts_divergence and self.diverged():
            return True
        result = self.result()
        return result.get("status") == "completed" and result.get("config_hash") == self.config_hash

    def diverged(self) -> bool:
        """Return whether the loss has diverged with exactly this configuration; it would again."""
        result = self.result()
        return result.get("diverged") is True and result.get("config_hash") == self.config_hash

    def objective(self) -> float | None:
        """Return the validation top-1 error of its last epoch in percent, 100 if it has diverged."""
        if self.diverged():
            return DivergedError.OUTCOME
        return self.result().get("val", {}).get("top1_error")

    def disk_space(self) -> int:
        """Return the bytes that its folder takes."""
        return sum(path.lstat().st_size for path in self.folder.rglob("*"))

    def peak_memory(self) -> float | None:
        """Return the peak memory of its first device in bytes; None before the first epoch has ended."""
        megabytes = self.result().get("peak_memory_mb") or self.last_epoch().get("peak_memory_mb")
        return float(megabytes) * 1e6 if megabytes else None

    def last_epoch(self) -> dict[str, str]:
        """Return the last complete row of its metrics.csv, empty before the first epoch has ended."""
        try:
            text = (self.folder / "metrics.csv").read_text(encoding="utf-8")
        except OSError:
            return {}
        lines = text[: text.rfind("\n") + 1].splitlines()
        return next(csv.DictReader([lines[0], lines[-1]])) if len(lines) > 1 else {}

    def check_folder(self, config: dict[str, Any]) -> None:
        """Raise `UserError` if its folder holds a run that has another configuration than `config`, its own.

        One that failed is not in the way, see `set_aside`.
        """
        status = self.result().get("status")
        if status == "failed" or self.is_done() or is_unfinished(self.folder, self.config_hash):
            return
        difference = _first_difference(self.folder, config)
        if status == "completed" or difference:
            what = "a finished run" if status == "completed" else "an unfinished run"
            raise UserError(
                f"{self.folder} contains {what} of another configuration{difference}. Move it away, or choose"
                " another folder for this sweep: hydra.sweep.dir=..."
            )

    def set_aside(self) -> None:
        """Rename the folder of a failed run to <folder>.failed-1 (-2, ...), and its log likewise.

        A run that was interrupted or killed keeps its folder: it is resumed.
        """
        exists = self.folder.exists() or self.log.exists()
        if not exists or is_unfinished(self.folder, self.config_hash):
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

    def failure_reason(self, exit_code: int) -> str:
        """Return in one line why it failed; `exit_code` is that of a shell: 128 + n for signal n."""
        result = self.result()
        if result.get("status") == "failed" and result.get("error"):
            return first_line(str(result["error"])) or NO_REASON
        if exit_code > 128:
            number = exit_code - 128
            name = signal.Signals(number).name if number in set(signal.Signals) else number
            memory = ", perhaps for lack of memory" if name == "SIGKILL" else ""
            return f"killed by {name}{memory}"
        try:
            output = self.log.read_text(encoding="utf-8", errors="replace")
        except OSError:
            output = ""
        lines = [line.strip() for line in output.splitlines() if line.strip()]
        return lines[-1].removeprefix("Error: ") if lines else f"{NO_REASON} (status {exit_code})"


def _first_difference(folder: Path, config: dict[str, Any]) -> str:
    """Return in words the first value in which the run in a folder differs; "" without any, or a run."""
    try:
        before = flatten(read_run_config(folder))
    except UserError:
        return ""
    now = flatten(config)
    keys = [key for key in before | now if not is_under(key, UNHASHED_KEYS)]
    differing = [key for key in keys if before.get(key) != now.get(key)]
    return (
        f", {differing[0]}={before.get(differing[0])} instead of {now.get(differing[0])}" if differing else ""
    )


SUPERVISOR = Path(__file__).with_name("supervisor.py")


class JobProcess:
    """Process of a job, in a session of its own, with its output in the job's log."""

    def __init__(self, job: Job, environment: dict[str, str]) -> None:
        job.log.parent.mkdir(parents=True, exist_ok=True)
        with job.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", str(SUPERVISOR), *job.command],
                stdin=subprocess.PIPE,  # see supervisor.py
                stdout=log,
                stderr=subprocess.STDOUT,
                env=os.environ | {"PYTHONUNBUFFERED": "1", LAUNCHER: str(os.getpid())} | environment,
                start_new_session=True,
            )

    def poll(self) -> int | None:
        """Return None while it runs, then its exit code as a shell reports it.

        Whatever the job started and left running is killed first.
        """
        exit_code = self._process.poll()
        if exit_code is None:
            return None
        self._signal(signal.SIGKILL)  # what it started and did not wait for
        assert self._process.stdin is not None
        self._process.stdin.close()
        return exit_code if exit_code >= 0 else 128 - exit_code

    def interrupt(self) -> None:
        """Interrupt it as Ctrl-C does: the run writes its result and ends."""
        self._signal(signal.SIGINT)

    def kill(self) -> None:
        """Kill it, and wait until it has ended."""
        self._signal(signal.SIGKILL)
        self._process.wait()

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError, PermissionError):  # macOS, for a group whose processes have ended
            os.killpg(self._process.pid, number)
