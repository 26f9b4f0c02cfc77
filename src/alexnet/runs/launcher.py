"""The processes of a run, as torchrun, srun or Lightning started them, against those that are configured.

A launcher numbers its processes in environment variables, and libraries print nothing where these say that a
process is not the first: one that is left over from another job would hide every message.
"""

import os
from dataclasses import dataclass

from alexnet.errors import UserError
from alexnet.ranks import number_in, process_rank

RANKS = ("RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID", "SLURM_LOCALID")
MPI_SIZES = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE")  # set by Open MPI; by MPICH and Intel MPI


@dataclass(frozen=True)
class _Launch:
    """What a launcher has started: so many processes in all, on so many nodes."""

    launcher: str
    processes: int
    nodes: int


def is_started_by_run() -> bool:
    """Return whether the first process of the run has started this one, rather than torchrun or srun."""
    return process_rank() > 0 and _launch() is None


def check_single_process(program: str) -> None:
    """Raise `UserError` where a launcher has started several processes of a program that runs as one.

    Also where a variable says so, see `check_processes`.
    """
    launch = _launch()
    if launch is None:
        _check_started_alone({}, f"{program} runs as one process")
    elif launch.processes > 1:
        raise UserError(
            f"{launch.launcher} has started {launch.processes} processes of {program}, which runs as one."
            f" Start it without {launch.launcher}."
        )


def check_processes(devices: int, num_nodes: int) -> None:
    """Raise `UserError` where a launcher has started other processes than `devices` on each of `num_nodes`.

    Also where there is no launcher but a variable says that this is a further process of a run. From then on
    the environment tells Lightning whether srun has started the processes.
    """
    launch = _launch()
    wanted = f"trainer.devices={devices} trainer.num_nodes={num_nodes}"
    if launch is None:
        ranks = {"LOCAL_RANK": devices, "NODE_RANK": num_nodes}
        if "LOCAL_RANK" in os.environ:  # another launcher's, which gives both
            ranks["RANK"] = devices * num_nodes
        _check_started_alone(ranks, f"a run with {wanted} has no such process")
        return
    if launch.launcher == "mpirun":
        raise UserError(
            f"mpirun has started {launch.processes} processes that have no ranks. Start them with torchrun or"
            f" srun instead: torchrun --nproc-per-node={launch.processes} src/train.py ..."
        )
    started = f"trainer.devices={launch.processes // launch.nodes} trainer.num_nodes={launch.nodes}"
    if started != wanted or launch.processes % launch.nodes:
        raise UserError(
            f"{launch.launcher} has started {launch.processes} processes (nodes: {launch.nodes}), but the"
            f" configuration has {wanted}. Set {started}, or let {launch.launcher} start"
            f" {devices * num_nodes}."
        )
    if launch.launcher == "srun":  # Lightning asks for what srun sets only with --ntasks-per-node
        os.environ["SLURM_NTASKS_PER_NODE"] = str(devices)
        if os.environ.get("SLURM_JOB_NAME") in ("bash", "interactive"):
            os.environ["SLURM_JOB_NAME"] = "train"


def _launch() -> _Launch | None:
    """Return what torchrun, srun or mpirun has started; None for a process that was started by itself.

    So is the script of a Slurm job, and the only task of srun: there Lightning starts what is missing.
    Processes of mpirun that have been given ranks are those of another launcher.
    """
    if "TORCHELASTIC_RUN_ID" in os.environ:
        processes = number_in("WORLD_SIZE", 1)
        return _Launch("torchrun", processes, max(processes // number_in("LOCAL_WORLD_SIZE", processes), 1))
    tasks = number_in("SLURM_STEP_NUM_TASKS", 1) if "SLURM_STEP_ID" in os.environ else 1
    if tasks > 1:
        return _Launch("srun", tasks, number_in("SLURM_STEP_NUM_NODES", 1))
    processes = 1 if "LOCAL_RANK" in os.environ else max(number_in(name) for name in MPI_SIZES)
    return _Launch("mpirun", processes, 1) if processes > 1 else None


def _check_started_alone(ranks: dict[str, int], why: str) -> None:
    """Raise `UserError` where a variable has a rank that is not below its number in `ranks`, 1 by default."""
    counts = dict.fromkeys(RANKS, 1) | ranks
    if wrong := [name for name, count in counts.items() if not 0 <= number_in(name) < count]:
        given = " ".join(f"{name}={os.environ.pop(name)}" for name in wrong)  # popped, to be printed
        raise UserError(
            f"{given} in the environment: a launcher sets this for each of its processes, and {why}."
            f" Remove it: unset {' '.join(wrong)}"
        )
    if "SLURM_NTASKS" in os.environ:
        os.environ["SLURM_JOB_NAME"] = "interactive"  # or Lightning assumes that srun started this
