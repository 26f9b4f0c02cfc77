"""Kill a run or a sweep again and again, and compare: python tests/kill_at_random.py [--kills 25] [overrides]

One run is left alone; another, of the same configuration, is killed with SIGKILL, its whole process group,
and started again each time. After each kill every checkpoint is read; in the end the files of both
are bit-identical, or this ends with status 1. Kills come at random moments: while the program starts, in
training and validation, and while a checkpoint is written.

With -m, a sweep, study or search: killed at any moment until it ends by itself, and then another from its
beginning, until there have been as many kills. Each has to leave what the one that was left alone has left.

With --every 15, a run of any size is killed every 15 seconds until it has ended. What that needs is a
checkpoint within that time: callbacks.checkpoint.every_n_seconds=5.

With --warm, runs start from a process that has loaded torch, which leaves out most of a start.
"""

import argparse
import json
import multiprocessing
import os
import random
import runpy
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

PROJECT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(PROJECT / "src"), str(PROJECT / "tests")]

import surroundings  # noqa: E402, F401, I001 (before torch)
import torch  # noqa: E402

from alexnet.runs.checkpoint_io import read_checkpoint  # noqa: E402
from survival import differences, outcome  # noqa: E402

# few steps an epoch, and a checkpoint after each, which takes about as long to write as the step
RUN = (
    *("model.width=0.0625", "model.fc_units=[256,256]", "trainer.accelerator=cpu", "logger=csv"),
    *("data.synthetic.train_images=61", "data.synthetic.val_images=31", "data.batch_size=20"),
    *("data.augment.crop_group_size=1", "callbacks.checkpoint.every_n_steps=1"),
)
PATIENCE = 300  # seconds, for anything
NO_PROGRESS = 4  # starts in a row that save nothing


class Moment(Enum):
    """When to kill."""

    starting = "while the program starts"
    training = "in training or validation"
    writing = "while a checkpoint is written"


class Kill(NamedTuple):
    """A kill, and what it left."""

    moment: Moment
    seconds: float  # since the start that it ended
    resumes_from: str  # the position of the last checkpoint
    cut: bool  # a file was left partly written


Process = subprocess.Popen[bytes] | multiprocessing.context.ForkServerProcess
Start = Callable[[list[str], Path], Process]


def start_fresh(command: list[str], log: Path) -> Process:
    """Start train.py as a shell does, in a process group of its own."""
    with log.open("ab") as file:
        return subprocess.Popen(
            [sys.executable, str(PROJECT / "src/train.py"), *command],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def start_warm(command: list[str], log: Path, meddle: Callable[[], object] = int) -> Process:
    """Start it from a process that has only loaded torch, which takes half a second.

    `meddle` is called in the new process first; a function of a module.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["alexnet.training.fit"])
    process = context.Process(target=_train, args=(command, log, meddle))
    with patch.dict(os.environ, PYTHONPATH=os.pathsep.join(sys.path)):  # where it finds what to load
        process.start()
    return process


def _train(command: list[str], log: Path, meddle: Callable[[], object]) -> None:
    os.setsid()
    torch.set_num_threads(1)  # threads that wait for each other are slow where others use the cores
    with log.open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    meddle()
    sys.argv = [str(PROJECT / "src/train.py"), *command]
    runpy.run_path(sys.argv[0], run_name="__main__")


def kill_at_random(
    folder: Path, kills: int, seed: int, overrides: tuple[str, ...] = (), start: Start = start_fresh
) -> tuple[list[Kill], list[str]]:
    """Return the kills, and where the two runs differ in the end: nowhere, if all is well."""
    epochs = kills + 3  # between two kills there is less than one
    drawn, log = random.Random(seed), folder / "train.log"
    command = [*RUN, f"trainer.max_epochs={epochs}", *overrides]
    whole, killed = folder / "left alone", folder / "killed"
    _end(start(["--help"], log))  # so that the start that is measured is like those that follow
    began = time.monotonic()
    process = start([*command, f"run_folder={whole}"], log)
    _wait(lambda: (whole / "checkpoints/last.ckpt").exists(), process)
    startup = time.monotonic() - began
    _end(process)
    share = 0.6 * (time.monotonic() - began - startup) / epochs
    if _status(process) != 0:
        raise RuntimeError(log.read_text())

    made: list[Kill] = []
    while len(made) < kills:
        moment = drawn.choice([Moment.starting, Moment.training, Moment.training, Moment.writing])
        known = (killed / "config.yaml").exists()
        resume = [f"resume={killed}"] if known else [*command, "resume=auto", f"run_folder={killed}"]
        began, process = time.monotonic(), start(resume, log)
        if moment is Moment.starting:
            time.sleep(drawn.uniform(0, startup))
        else:
            last = _saved(killed)
            _wait(lambda last=last: _saved(killed) != last, process)
            time.sleep(drawn.uniform(0, share))
        if moment is Moment.writing:
            _wait(lambda: any((killed / "checkpoints").glob(".*.partial")), process, pause=0)
            time.sleep(drawn.uniform(0, 0.01))
        if _status(process) is not None:
            raise RuntimeError(f"It has ended by itself, before kill {len(made) + 1}: {log.read_text()}")
        seconds = time.monotonic() - began
        _kill(process)
        where, content = "the beginning", {}
        for checkpoint in (killed / "checkpoints").glob("*.ckpt"):
            content = read_checkpoint(checkpoint)  # raises for one that is not whole
            if checkpoint.name == "last.ckpt":
                where = f"epoch {content['epoch'] + 1}, step {content['global_step']}"
        cut = any(killed.rglob(".*.partial"))
        made.append(Kill(moment, seconds, where, cut))
        print(
            f"{len(made):3}. killed {moment.value}, after {seconds:4.1f} s"
            f"{', in the middle of a file' if cut else ''}; resumes from {where}",
            flush=True,
        )
    process = start([f"resume={killed}"], log)
    _end(process)
    return made, differences(outcome(killed), outcome(whole))


def kill_sweep_at_random(
    folder: Path, kills: int, seed: int, overrides: tuple[str, ...], start: Start = start_fresh
) -> tuple[list[float], list[str]]:
    """Return after how many seconds each kill came, and where a sweep differs from the one left alone."""
    drawn, log = random.Random(seed), folder / "train.log"
    command = [*RUN, "trainer.max_epochs=2", *overrides, f"outputs={folder / 'outputs'}"]

    def begin(sweep: Path) -> Process:
        return start([*command, f"hydra.sweep.dir={sweep}"], log)

    began, process = time.monotonic(), begin(folder / "left alone")
    _end(process)
    if _status(process) != 0:
        raise RuntimeError(log.read_text())
    whole, longest = sweep_outcome(folder / "left alone"), (time.monotonic() - began) / 2

    made: list[float] = []
    differing: list[str] = []
    while len(made) < kills:
        sweep, before = folder / "killed", len(made)
        while True:  # until it ends by itself
            began, process = time.monotonic(), begin(sweep)
            if len(made) < kills:
                until = began + drawn.uniform(0, longest)
                _wait(lambda until=until: time.monotonic() > until, process)
            else:
                _end(process)
            if _status(process) is not None:
                break
            _kill(process)
            for checkpoint in sweep.rglob("*.ckpt"):
                read_checkpoint(checkpoint)  # raises for one that is not whole
            made.append(time.monotonic() - began)
            print(f"{len(made):3}. killed after {made[-1]:4.1f} s", flush=True)
        if _status(process) != 0:
            raise RuntimeError(log.read_text())
        found = differences(sweep_outcome(sweep), whole)
        print(f"     ended after {len(made) - before} kills: {len(found)} differences", flush=True)
        differing += found
        shutil.rmtree(sweep)
    return made, differing


def kill_every(seconds: float, folder: Path, overrides: tuple[str, ...], start: Start = start_fresh) -> int:
    """Kill a run so many seconds after each start, until it ends, and return how often."""
    run, log, made, idle = folder / "run", folder / "train.log", 0, 0
    while not _completed(run):
        before, began = _saved(run), time.monotonic()
        process = start([*overrides, "resume=auto", f"run_folder={run}"], log)
        end = began + seconds
        _wait(lambda before=before, end=end: _saved(run) != before or time.monotonic() > end, process)
        first = time.monotonic() - began
        _wait(lambda end=end: time.monotonic() > end, process)
        if _status(process):
            raise RuntimeError(log.read_text())
        if _status(process) is None:
            _kill(process)
            made += 1
        if _saved(run) == before:
            idle, told = idle + 1, "nothing saved"
        else:
            step = read_checkpoint(run / "checkpoints/last.ckpt")["global_step"]
            idle, told = 0, f"saved after {first:4.1f} s; in the end step {step}"
        print(f"{made:3}. {told}", flush=True)
        if idle == NO_PROGRESS:
            raise RuntimeError(f"Nothing saved in {idle} starts: {log.read_text()}")
    return made


def _completed(run: Path) -> bool:
    """Return whether a run has ended by itself."""
    result = run / "result.json"
    return result.exists() and json.loads(result.read_text())["status"] == "completed"


def sweep_outcome(sweep: Path) -> dict[str, Any]:
    """Return what the runs of a sweep must not depend on its having been stopped, and what it has chosen."""
    runs = {str(path.parent.relative_to(sweep)): outcome(path.parent) for path in sweep.rglob("result.json")}
    assert runs
    chosen = {path.name: path.read_text() for path in sweep.glob("*.yaml")}  # by a search
    if (sweep / "study.json").exists():
        study = json.loads((sweep / "study.json").read_text())
        chosen |= {"rates": study["chosen"], "trials": study["trials"]}
    return {"runs": runs, "chosen": chosen}


def _saved(folder: Path) -> int:
    """Return when last.ckpt was written, which changes when it is written again."""
    with suppress(OSError):
        return (folder / "checkpoints/last.ckpt").stat().st_mtime_ns
    return 0


def _wait(reached: Callable[[], bool], process: Process, pause: float = 0.005) -> None:
    deadline = time.monotonic() + PATIENCE
    while not reached():
        if _status(process) is not None:
            return
        if time.monotonic() > deadline:
            raise TimeoutError(f"Nothing after {PATIENCE} s.")
        time.sleep(pause)


def _kill(process: Process) -> None:
    """Kill a process and its group, which one that was started a moment ago may not have made yet."""
    for kill in (os.killpg, os.kill):
        with suppress(ProcessLookupError):
            kill(process.pid, signal.SIGKILL)
    _end(process)


def _end(process: Process) -> None:
    if isinstance(process, subprocess.Popen):
        process.wait(PATIENCE)
    else:
        process.join(PATIENCE)


def _status(process: Process) -> int | None:
    return process.poll() if isinstance(process, subprocess.Popen) else process.exitcode


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=25)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--every", type=float, metavar="SECONDS", help="kill then, until the run has ended")
    parser.add_argument("--warm", action="store_true", help="start from a process that has loaded torch")
    parser.add_argument("-m", action="store_true", help="a sweep, study or search")
    parser.add_argument("overrides", nargs="*", help="of the run, as for train.py: data.workers=0")
    given = parser.parse_args()
    start = start_warm if given.warm else start_fresh
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        if given.every:
            made = kill_every(given.every, Path(folder), tuple(given.overrides), start)
            print(f"It ended in spite of {made} kills, after {time.monotonic() - began:.0f} s")
            return 0
        if given.m:
            overrides = ("-m", *given.overrides)
            times, differing = kill_sweep_at_random(Path(folder), given.kills, given.seed, overrides, start)
            kills = f"{len(times)} kills"
        else:
            killed, differing = kill_at_random(
                Path(folder), given.kills, given.seed, tuple(given.overrides), start
            )
            cut = sum(kill.cut for kill in killed)
            kills = f"{len(killed)} kills, {cut} of them in the middle of a file,"
    for difference in differing:
        print(difference)
    verdict = f"{len(differing)} differences" if differing else "bit-identical"
    print(f"{kills} in {time.monotonic() - began:.0f} s: {verdict}")
    return int(bool(differing))


if __name__ == "__main__":
    sys.exit(main())
