"""Signals to the programs at random moments: who is left? python tests/survivors.py [--moments 3] [name ...]

A program, and whatever it starts, has a variable in its environment with a value that no other process has.
Each program is started again and again and gets a signal; what still runs `PATIENCE` seconds later is left.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from enum import Enum
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

PROJECT = Path(__file__).resolve().parents[1]
MARK = "ALEXNET_TESTS_MARK"
PATIENCE = 10  # seconds from the signal to the end of the last process, where no other program computes


class Way(Enum):
    """How a program is ended: with which signal, and whether its process group gets it, as in a terminal."""

    ctrl_c = (signal.SIGINT, True)
    sigint = (signal.SIGINT, False)
    sigterm = (signal.SIGTERM, False)
    sigkill = (signal.SIGKILL, False)


class Left(NamedTuple):
    """What a signal left: the commands of the processes that still ran, and the program's output."""

    processes: list[str]
    seconds: float  # from the signal to the end of the last process, or until they were killed
    output: str


class Program:
    """A started program: a process group of its own, as a shell makes one, with the signals as it expects."""

    def __init__(
        self, command: Sequence[str], folder: Path, environment: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        self.mark, self._log = uuid.uuid4().hex, folder / "output.log"
        own = {MARK: self.mark, "HOME": str(folder), "WANDB_MODE": "offline", "OMP_NUM_THREADS": "1"}
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, *command],
                cwd=folder,
                env=os.environ | own | environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
            )

    def running(self) -> dict[int, str]:
        """The processes that it consists of, and their commands."""
        wanted, found = f"{MARK}={self.mark}".encode(), {}
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):  # one that has ended, or another user's
                if wanted in (folder / "environ").read_bytes().split(b"\0"):
                    command = (folder / "cmdline").read_bytes().replace(b"\0", b" ")
                    found[int(folder.name)] = command.decode(errors="replace").strip()
        return found

    def end(self, way: Way) -> Left:
        """Send the signal, and wait for all processes to end. What is left then is killed."""
        number, to_group = way.value
        with suppress(ProcessLookupError):
            (os.killpg if to_group else os.kill)(self.process.pid, number)
        began, patience = time.monotonic(), PATIENCE * _slowness()
        while (self.process.poll() is None or self.running()) and time.monotonic() - began < patience:
            time.sleep(0.1)
        seconds, left = time.monotonic() - began, self.running()
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()
        return Left([command[:150] for command in left.values()], seconds, self._log.read_text())


def _slowness() -> float:
    """How many times as long a program takes as where it has the machine for itself."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


TRAIN = (
    *("model.width=0.0625", "model.fc_units=[256,256]", "trainer.accelerator=cpu", "data.batch_size=20"),
    *("data.synthetic.train_images=61", "data.synthetic.val_images=31"),
)
FOR_EVER = (*TRAIN, "trainer.max_epochs=9999", "logger=csv")
TWO = "trainer.devices=2"
LARGE = "data.synthetic.train_images=20000"  # to be made, decoded and written: takes a while
ARGUMENTS: dict[str, tuple[str, ...]] = {
    "train": FOR_EVER,
    "train, W&B": (*FOR_EVER, "logger=wandb", "logger.mode=offline"),
    "train, DDP": (*FOR_EVER, TWO),
    "train, columns": (*FOR_EVER, TWO, "model.columns=2", "strategy=model_parallel"),
    "train, sweep": ("-m", *FOR_EVER, "seed=0,1"),
    "train, sweep of DDP": ("-m", *FOR_EVER, TWO, "seed=0,1"),
    "train, study": ("-m", *FOR_EVER, "study=activations"),
    "train, search": ("-m", *FOR_EVER, "hydra/sweeper=search", "optimizer.lr=interval(0.01,0.02)"),
    "benchmark": (*FOR_EVER, "rounds=99", "matrix=64"),
    "doctor": (*FOR_EVER, TWO),
    "classical": (LARGE, "data.workers=2"),
    "prepare": (LARGE,),
    "evaluate": ("run={run}", "out={folder}/results", "wandb=true"),
    "predict": ("run={run}", "images={images}", "output={folder}/a.json", "sheet={folder}/a.png"),
    "inspect_run": ("run={run}", "out={folder}/results"),
    "export": ("run={run}", "out={folder}/results", "format=[onnx,torch_export,safetensors,hub]"),
    "compare": ("study={study}", "out={folder}/results"),
    "compare, W&B": ("study={study}", "out={folder}/results", "wandb_run=true"),
    "compare, W&B report": ("study={study}", "out={folder}/results", "wandb=true"),
}


def program_of(name: str, folder: Path, made: Mapping[str, Path]) -> Program:
    """Start a program of ARGUMENTS with outputs and caches in a new folder; `made` is what `prepare` made."""
    folder.mkdir()
    entry_point = name.partition(",")[0]
    arguments = [part.format(folder=folder, **made) for part in ARGUMENTS[name]]
    if entry_point in ("train", "benchmark", "doctor", "classical"):
        arguments.append(f"outputs={folder}/outputs")
    own_data = entry_point in ("classical", "prepare")
    cache = {"ALEXNET_CACHE": str(folder / "cache")} if own_data else {}
    return Program([str(PROJECT / f"src/{entry_point}.py"), *arguments], folder, cache)


def prepare(folder: Path) -> dict[str, Path]:
    """Train what the other programs read: a sweep of two runs."""
    sweep = folder / "sweep"
    command = ("-m", *TRAIN, "trainer.max_epochs=1", "seed=0", "model.lrn=true,false", "logger=wandb")
    command += ("logger.mode=offline", f"hydra.sweep.dir={sweep}")
    done = Program([str(PROJECT / "src/train.py"), *command], folder)
    if done.process.wait():
        raise RuntimeError((folder / "output.log").read_text())
    run = sweep / "model.lrn=true"
    return {"run": run, "images": run / "figures", "study": sweep}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--moments", type=int, default=3, help="in each of which each signal is sent")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--earliest", type=float, default=0, help="seconds from the start to the signal")
    parser.add_argument("--latest", type=float, default=30)
    parser.add_argument("--ways", nargs="*", default=list(Way.__members__))
    parser.add_argument("names", nargs="*", help=f"of {', '.join(ARGUMENTS)}")
    given = parser.parse_args()
    drawn, left_any = random.Random(given.seed), False
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["ALEXNET_CACHE"] = str(folder / "cache")
        made = prepare(folder)
        for number, (program, way) in enumerate(
            (program, way)
            for program in given.names or ARGUMENTS
            for way in given.ways
            for _ in range(given.moments)
        ):
            seconds = drawn.uniform(given.earliest, given.latest)
            started = program_of(program, folder / str(number), made)
            with suppress(subprocess.TimeoutExpired):
                started.process.wait(seconds)
            status = started.process.poll()
            before = len(started.running())
            left = started.end(Way[way])
            left_any |= bool(left.processes)
            what = "; ".join(left.processes) or f"none after {left.seconds:.1f} s"
            said = (left.output.strip().splitlines() or [""])[-1][:100]
            ended = "" if status is None else f"(ended with {status}) "
            print(
                f"{program:20} {way:8} after {seconds:5.1f} s, {before} processes: {ended}{what} | {said}",
                flush=True,
            )
    return int(left_any)


if __name__ == "__main__":
    sys.exit(main())
