"""Stands for Slurm where the launcher is tested: <folder>/sbatch, srun and squeue, made by install().

sbatch runs the script at once, each job of an array by itself; srun starts as many tasks as the
script asks for, all on this machine, with the variables that Slurm gives them. <folder>/<id>.sh is
what was submitted; squeue lists what runs, and what stands in <folder>/queued. tests/slurm is the same with
a real Slurm.
"""

import contextlib
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

PROGRAMS = ("sbatch", "srun", "squeue")


def install(folder: Path) -> dict[str, str]:
    """Make the programs; the environment in which they are found."""
    folder.mkdir()
    for name in PROGRAMS:
        program = folder / name
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{__file__}" "{folder}" {name} "$@"\n')
        program.chmod(0o755)
    return {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}


def end(folder: Path) -> None:
    """Kill what still runs."""
    for started in folder.glob("*.pid"):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(int(started.stem), signal.SIGKILL)


def asked(script: str) -> dict[str, str]:
    """The options in a batch script: {"nodes": "1", ...}."""
    return dict(re.findall(r"^#SBATCH --([\w-]+)=(.*)$", script, re.MULTILINE))


def sbatch(folder: Path, script: Path) -> None:
    job = len(list(folder.glob("*.sh"))) + 1
    text = script.read_text()
    (folder / f"{job}.sh").write_text(text)
    options = asked(text)
    last = int(re.match(r"0-(\d+)", options.get("array", "0-0"))[1])  # type: ignore[index]
    for index in range(last + 1):
        array = {"SLURM_ARRAY_JOB_ID": str(job), "SLURM_ARRAY_TASK_ID": str(index)}
        tasks = int(options["nodes"]) * int(options["ntasks-per-node"])
        environment = {
            "SLURM_JOB_ID": str(100 * job + index),
            "SLURM_JOB_NAME": options["job-name"],
            "SLURM_NTASKS": str(tasks),
            "SLURM_NTASKS_PER_NODE": options["ntasks-per-node"],
            "SLURM_JOB_NUM_NODES": options["nodes"],
            "SLURM_NNODES": options["nodes"],
            "SLURM_NODELIST": "localhost",
            **(array if "array" in options else {}),
        }
        process = subprocess.Popen(
            ["bash", str(folder / f"{job}.sh")],
            env=os.environ | environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        name = f"{job}_{index}" if "array" in options else str(job)
        (folder / f"{process.pid}.pid").write_text(name)
    print(f"Submitted batch job {job}")


def srun(arguments: list[str]) -> int:
    streams, rest = {}, arguments
    while rest[0].startswith("--"):
        if rest[0] in ("--output", "--error"):
            streams[rest[0]] = rest[1]
            rest = rest[1:]
        rest = rest[1:]
    array, index = os.environ.get("SLURM_ARRAY_JOB_ID", ""), os.environ.get("SLURM_ARRAY_TASK_ID", "")
    tasks = []
    for rank in range(int(os.environ["SLURM_NTASKS"])):
        names = {"%A": array, "%a": index, "%t": str(rank), "%j": os.environ["SLURM_JOB_ID"]}
        files = []
        for stream in ("--output", "--error"):
            path = Path(re.sub("%[Aajt]", lambda match, names=names: names[match[0]], streams[stream]))
            path.parent.mkdir(parents=True, exist_ok=True)
            files.append(path.open("ab"))
        ranks = {"SLURM_PROCID": str(rank), "SLURM_LOCALID": str(rank), "SLURM_NODEID": "0"}
        ranks |= {"SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": os.environ["SLURM_NTASKS"]}
        tasks.append(subprocess.Popen(rest, env=os.environ | ranks, stdout=files[0], stderr=files[1]))
    return max(task.wait() for task in tasks)


def main(folder: Path, program: str, arguments: list[str]) -> None:
    if program == "sbatch":
        sbatch(folder, Path(arguments[-1]))
    elif program == "srun":
        sys.exit(srun(arguments))
    elif program == "squeue" and "--states=all" in arguments:
        for started in folder.glob("*.pid"):
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(started.stem), 0)
                print(f"{started.read_text()}|RUNNING|localhost")
    elif program == "squeue" and (folder / "queued").exists():
        print((folder / "queued").read_text())


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3:])
